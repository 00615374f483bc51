"""How many children a process may have at work for voices at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from assistants.errors import VoiceBusy


class ChildSlots:
    """Room for this many children in each process; who finds none waits."""

    def __init__(self, at_once: int, wait_seconds: float) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._wait_seconds = wait_seconds

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises VoiceBusy after `wait_seconds`."""
        if not self._free.acquire(timeout=self._wait_seconds):
            raise VoiceBusy
        try:
            yield
        finally:
            self._free.release()
