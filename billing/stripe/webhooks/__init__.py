"""Events from Stripe: verified by `views`, stored by `inbox`, handled by `dispatcher`.

An event only says that something changed. The object's present state is always fetched.
"""
