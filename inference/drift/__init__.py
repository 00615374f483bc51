"""Drift: whether an endpoint's requests still look like the data its model learnt from."""
