"""Events from Stripe: verified by `views`, stored by `inbox`, handled by `dispatcher`.

An event only says that an object changed; the object's current state is always fetched.
"""
