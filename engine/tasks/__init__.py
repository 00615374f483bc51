"""One module per task; each brings its data and network to the shared training loop."""
