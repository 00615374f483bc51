"""Losing the database on purpose."""

import time

from django.db import connection

OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def end_others_for(seconds: float) -> None:
    """All other sessions, again and again, as restarts of PostgreSQL end them."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        with connection.cursor() as cursor:
            cursor.execute(OTHERS)
        time.sleep(0.05)
