"""Tables: what a column is, how a row becomes numbers, and the models that read them."""
