"""The models process: holds deployed models, authenticates, batches, answers and meters.

It is an ASGI application of its own, without Django's request cycle; it uses Django's settings,
models (to write usage) and storage only. Started by `manage.py serve_models`.
"""
