"""People who answer: when they are there, and how long who waits for them will wait."""
