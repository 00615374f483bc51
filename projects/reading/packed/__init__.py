"""Tables inside archives and compressed files."""
