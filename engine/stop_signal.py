"""SIGTERM: ends the job at once or, while training, after the current step and a checkpoint."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from engine.errors import StopRequested


@dataclass(eq=False)
class StopSignal:
    """Raises StopRequested in the main thread; within `deferred` it only sets `requested`."""

    requested: bool = False
    _is_deferred: bool = False

    def install_handler(self) -> None:
        signal.signal(signal.SIGTERM, self._handle_signal)

    def ignore(self) -> None:
        """Ignore SIGTERM from now on, so that reporting how the job ended is not interrupted."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _handle_signal(self, _number: int, _frame: FrameType | None) -> None:
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
