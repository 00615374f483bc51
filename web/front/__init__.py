"""What runs between the guard and Django: the line in which requests wait, and their thread."""
