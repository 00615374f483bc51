"""Rules: what is decided before a question is matched. Plain conditions and examples, no code."""
