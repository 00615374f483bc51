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
_shutdown_flag = mmap.mmap(-1, 1)


@worker_shutting_down.connect
def _set_shutdown_flag(**_: object) -> None:
    _shutdown_flag[0] = 1


def is_requested() -> bool:
    """True once the worker this process belongs to is shutting down."""
    return _shutdown_flag[0] == 1


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Within this block SIGTERM raises SystemExit instead of ending the process on the spot."""
    before = signal.signal(signal.SIGTERM, _raise_system_exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise_system_exit(_number: int, _frame: object) -> None:
    raise SystemExit("told to leave")
