"""What is worth mending in a table: why it matters, and edits that mend it."""
