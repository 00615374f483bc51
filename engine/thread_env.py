"""Environment variables for the threads of a training process; read when torch and numpy load."""

THREAD_ENV = {
    # Threads that spin while they wait halve the speed of training when another program wants the
    # processor; threads that sleep at once cost a sixth of it when none does. Spinning for about 20
    # microseconds costs a tenth beside a busy neighbour and wins most of that sixth back.
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "1000",
    # numpy, scipy and scikit-learn multiply small matrices: with a second thread a linear model on
    # 10,000 embeddings took seven times as long, with 384 columns and two labels 38 times.
    "OPENBLAS_NUM_THREADS": "1",
}
