"""What runs between the guard and Django: the queue in which requests wait, and their thread."""
