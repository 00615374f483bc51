"""One at a time across all processes, without a queue behind the one that works."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Whether nobody else is in here under this name; PostgreSQL forgets who dies inside.

    For work that looks for more by itself and is nudged often: without it, slow remote ends could
    keep every worker process busy with the same kind of work.
    """
    key = zlib.crc32(f"lathe alone {name}".encode())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        is_ours = bool(cursor.fetchone()[0])
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
