"""The connections that the web process's requests share: lending one, and running out of them.

A request that holds its own while it waits for a thread that needs another would, twenty times at
once, let all of them wait for nobody.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

import psycopg
from django.db import close_old_connections, connection
from psycopg_pool import PoolTimeout

from web.errors import UserError
from web.sse import connection_params

logger = logging.getLogger(__name__)

PROBE_SECONDS = 2  # For which an answer counts, and in which it must come.


class DatabaseBusy(UserError):
    code, status, retry_after_seconds = "overloaded", 429, 2
    sentence = "Too many requests are being answered at once. Try again in a moment."


def lend_connection() -> None:
    """Others may have this thread's connection; its next query takes one again."""
    if not connection.in_atomic_block:  # As in tests, which roll back.
        close_old_connections()


def is_exhausted(error: BaseException | None) -> bool:
    """Whether a request waited in vain for a connection, while PostgreSQL itself answers: then
    there is too much to do, and nothing is out of order."""
    return any(isinstance(one, PoolTimeout) for one in _causes(error)) and _probe.answers()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


@dataclass(eq=False)
class _Probe:
    """Asks with a connection of its own, at most once in PROBE_SECONDS."""

    _lock: Lock = field(default_factory=Lock)
    _asked_at: float = float("-inf")
    _answered: bool = False

    def answers(self) -> bool:
        with self._lock:
            if time.monotonic() - self._asked_at > PROBE_SECONDS:
                self._answered = self._ask()
                self._asked_at = time.monotonic()
            return self._answered

    def _ask(self) -> bool:
        parameters = {**connection_params(), "connect_timeout": PROBE_SECONDS}
        try:
            psycopg.connect(**parameters).close()
        except psycopg.Error as error:
            logger.warning("The database does not answer: %s", error)
            return False
        return True


_probe = _Probe()
