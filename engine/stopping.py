"""SIGTERM: leave at once, or, while training, after the step at hand and a checkpoint."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from engine.errors import StopRequested


class StopSignal:
    """Raises StopRequested in the main thread; within `deferred` it only remembers."""

    def __init__(self) -> None:
        self.requested = False
        self._is_deferred = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._received)

    def ignore(self) -> None:
        """From now on nothing interrupts: what is left is to say how it ended."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if not self._is_deferred:
            raise StopRequested

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def raise_if_requested(self) -> None:
        if self.requested:
            raise StopRequested
