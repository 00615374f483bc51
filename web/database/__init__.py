"""The database as the web process uses it: shared connections, and statements of our own."""
