"""How much waits in each queue of rows, and how long: see `readings`."""
