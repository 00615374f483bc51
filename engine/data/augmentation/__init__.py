"""Texts changed by seeded draws: to train on, and to see what a model makes of them."""
