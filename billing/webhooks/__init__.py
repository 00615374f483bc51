"""Messages from Stripe: verified and kept by `inbox`, carried out by `processing`.

A message only says that something changed. What it changed to is always fetched.
"""
