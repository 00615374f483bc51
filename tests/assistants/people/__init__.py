"""When people are there, and what who waits for them is told."""
