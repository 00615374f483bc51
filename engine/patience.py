"""How the threads of a training process wait for each other. Read when torch loads."""

# Threads that always spin take the processor from a server beside them; threads that never do
# lose a sixth of the speed to waking up. These spin for a fraction of a millisecond, then sleep.
PATIENT_THREADS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}
