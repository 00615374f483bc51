"""One question on its way through the web process: how many at once, and how it is stored."""
