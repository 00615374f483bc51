"""Answers written from passages by a language model, released only as far as they are grounded."""
