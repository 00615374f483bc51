"""Retrying through a restart of PostgreSQL, so that a short outage fails nothing."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

RETRY_DELAY_SECONDS = 1.0
DISCONNECT_ERRORS = (OperationalError, InterfaceError)


def retry_on_disconnect(act: Callable[[], Result]) -> Result:
    """Call `act` until the database can be reached, for LEASE_SECONDS at most.

    `act` must be harmless to call twice: a connection can break after the commit.
    """
    deadline = time.monotonic() + settings.LEASE_SECONDS
    while True:
        try:
            return act()
        except DISCONNECT_ERRORS as error:
            if time.monotonic() > deadline or connection.in_atomic_block:
                raise
            logger.warning("The database cannot be reached, trying again: %s", error)
            connection.close()
            time.sleep(RETRY_DELAY_SECONDS)
