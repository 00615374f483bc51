"""Sending twice does once: `Idempotency-Key` for programs, a hidden key in forms.

See the IETF draft "The Idempotency-Key HTTP Header Field" and Stripe's documentation of the same
header. `store` holds keys and answers, `api` and `middleware` are the two doors.
"""
