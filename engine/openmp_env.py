"""Environment variables for how a training process's threads wait; read when torch loads."""

# Threads that spin while they wait halve the speed of training when another program wants the
# processor; threads that sleep at once cost a sixth of it when none does. Spinning for about 20
# microseconds costs a tenth beside a busy neighbour and wins most of that sixth back.
OPENMP_WAIT_ENV = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
