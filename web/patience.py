"""Working through a database restart: nothing fails because PostgreSQL was away a moment."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PAUSE_SECONDS = 1.0
DATABASE_AWAY = (OperationalError, InterfaceError)


def patiently(act: Callable[[], Answer]) -> Answer:
    """Do it, again and again while the database cannot be reached, for one lease at most.

    What is done must be harmless to do twice: a connection can break after the commit.
    """
    deadline = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            return act()
        except DATABASE_AWAY as error:
            if time.monotonic() > deadline or connection.in_atomic_block:
                raise
            logger.warning("The database is away, trying again: %s", error)
            connection.close()
            time.sleep(PAUSE_SECONDS)
