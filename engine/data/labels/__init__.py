"""Labels in cells that hold more than their names."""
