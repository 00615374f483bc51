"""Rules: what they look at, what they ask for, and who changes them."""
