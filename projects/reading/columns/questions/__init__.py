"""Questions about columns that can be read in two ways."""
