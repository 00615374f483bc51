"""Argon2, with a bound on how many passwords one process hashes at once.

Each hash takes 100 MiB for a moment: without a bound, whoever sends passwords fast enough takes all
of the memory.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import Argon2PasswordHasher

from web.errors import UserError

HASHES_AT_ONCE = 2
WAIT_SECONDS = 10.0

_slots = threading.BoundedSemaphore(HASHES_AT_ONCE)


class TooManySignIns(UserError):
    code, status = "overloaded", 503
    sentence = "Too many people are signing in at this moment. Try again in a few seconds."
    retry_after_seconds = 5


class BoundedArgon2PasswordHasher(Argon2PasswordHasher):
    """Raises TooManySignIns after WAIT_SECONDS without a free place. Same hashes as Django's."""

    def encode(self, password: str, salt: str) -> str:
        with _slot():
            return str(super().encode(password, salt))

    def verify(self, password: str, encoded: str) -> bool:
        with _slot():
            return bool(super().verify(password, encoded))


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise TooManySignIns
    try:
        yield
    finally:
        _slots.release()
