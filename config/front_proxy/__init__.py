"""The process behind the base URL of a one-machine installation: `python -m config.front_proxy`.

Small inference requests go straight to the models process. Every other connection is handed over to
the web process with the bytes that came, and its guard judges what is slow, large or malformed.
"""
