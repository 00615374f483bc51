"""Waiting for processes that are not our children."""

import time
from collections.abc import Iterable

import psutil


def wait_for_exit(processes: Iterable[psutil.Process], seconds: float) -> bool:
    """Whether all of them ended in time.

    A zombie has ended, too: in a container the process that should collect it may never do so.
    """
    remaining = list(processes)
    deadline = time.monotonic() + seconds
    while remaining := [process for process in remaining if not _has_exited(process)]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _has_exited(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
