"""Asking the models processes: which of them, and by a small HTTP/1.1 client."""
