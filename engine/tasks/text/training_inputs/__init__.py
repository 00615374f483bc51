"""What a text network reads in training: augmented tokens, and remembered lower layers."""
