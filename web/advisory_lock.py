"""PostgreSQL advisory locks by name: one holder across all processes and machines.

Every lock of the product comes from here, so that all keys follow one scheme and cannot collide
by accident: the 64-bit hash of "lathe:" and the name.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections

_KEY = "hashtextextended('lathe:' || %s, 0)"
_TRY_LOCK = f"SELECT pg_try_advisory_xact_lock({_KEY})"
# Of the whole session, by several at once. PostgreSQL keeps a key of 64 bits in two halves.
HOLD_SHARED_LOCK = f"SELECT pg_advisory_lock_shared({_KEY})"
COUNT_HOLDERS = f"""
SELECT count(*) FROM pg_locks, LATERAL (SELECT {_KEY} AS key) wanted
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = wanted.key
"""
_LOCK = f"SELECT pg_advisory_xact_lock({_KEY})"


@contextmanager
def try_advisory_lock(name: str) -> Iterator[bool]:
    """Yield whether the lock was free; it is held until the block ends or this process dies.

    For work that finds its rows by itself and is enqueued often: without the lock, slow remote
    ends could keep every worker busy with the same kind of work. The lock belongs to a transaction
    on a connection of its own, so the block may open and close transactions as it likes, and the
    lock works through a connection pooler such as PgBouncer, whose clients keep a server for one
    transaction only.
    """
    holder = connections.create_connection("default")
    try:
        holder.set_autocommit(False)
        with holder.cursor() as cursor:
            cursor.execute(_TRY_LOCK, [name])
            is_free = bool(cursor.fetchone()[0])
        if not is_free:
            holder.rollback()
        yield is_free
    finally:
        holder.close()  # Ends the transaction, and the lock with it.


def try_advisory_lock_in_transaction(name: str) -> bool:
    """Take the lock until the current transaction ends, if it is free; returns whether it was."""
    with connection.cursor() as cursor:
        cursor.execute(_TRY_LOCK, [name])
        return bool(cursor.fetchone()[0])


def advisory_lock_in_transaction(name: str) -> None:
    """Wait for the lock and hold it until the current transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [name])
