"""How often one caller may do what costs others: see `actions` and `counter`."""
