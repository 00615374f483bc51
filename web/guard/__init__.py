"""The layer in front of everything: what a stranger may send, how slowly, and how much at once."""
