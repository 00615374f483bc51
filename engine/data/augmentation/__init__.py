"""Changes texts by seeded random draws, to augment training and to test robustness."""
