"""Changes of many rows or cells at once, by what is in them."""
