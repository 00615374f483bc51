"""Whether this trainer was told to shut down, known in its pool process as well.

Celery's warm shutdown waits for the running task, and a fine-tune may run for hours: so a trainer
that must go saves the job's state and hands it back instead.
"""

import mmap
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from celery.signals import worker_shutting_down

# Anonymous shared memory, made before the pool forks; one byte, written from a signal handler.
_shared = mmap.mmap(-1, 1)


@worker_shutting_down.connect
def _remember(**_: object) -> None:
    _shared[0] = 1


def is_requested() -> bool:
    """True once the worker this process belongs to is shutting down."""
    return _shared[0] == 1


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this block SIGTERM raises SystemExit instead of ending the process on the spot."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit("told to leave")
