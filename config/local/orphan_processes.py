"""Finding and ending every process that `make up` started, directly or not.

All of them inherit one marked environment variable, so that those are found too that left their
process group, or whose parent was killed.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from config.local.process_wait import wait_for_exit

MARKER_VARIABLE = "LATHE_UP"
GRACE_SECONDS = 10.0


def find_marked_processes(var: Path) -> list[psutil.Process]:
    """The living processes of the installation, except this one and those it was started by."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _marker_of(process) == str(var)
    ]


def terminate_all(var: Path, grace_seconds: float = GRACE_SECONDS) -> int:
    """Send SIGTERM to all of them, SIGKILL after the grace; returns how many there were."""
    processes = find_marked_processes(var)
    _send_signal(processes, signal.SIGTERM)
    wait_for_exit(processes, grace_seconds)
    # What was started in the meantime ends here, too.
    remaining = find_marked_processes(var)
    _send_signal(remaining, signal.SIGKILL)
    wait_for_exit(remaining, grace_seconds)
    return len(processes)


def _send_signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)


def _marker_of(process: psutil.Process) -> str | None:
    try:
        marker: str | None = process.environ().get(MARKER_VARIABLE)
    except (psutil.Error, OSError):  # Another user's, or gone.
        return None
    return marker
