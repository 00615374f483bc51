"""Answers that last: live events and downloads, outside of Django's request."""
