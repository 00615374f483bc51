"""Finding and ending every process that `make up` started, directly or not.

All of them inherit one marked environment variable, so that those are found too that left their
process group, or whose parent was killed.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from config.ending import wait_until_ended

MARK = "LATHE_UP"
GRACE_SECONDS = 10.0


def marked(var: Path) -> list[psutil.Process]:
    """The living processes of the installation, except this one and those it was started by."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    processes = psutil.process_iter()
    return [one for one in processes if one.pid not in spared and _mark_of(one) == str(var)]


def end_all(var: Path, grace_seconds: float = GRACE_SECONDS) -> int:
    """Ask all of them to end, insist after the grace; how many there were."""
    first_found = marked(var)
    _signal(first_found, signal.SIGTERM)
    wait_until_ended(first_found, grace_seconds)
    # What was started in the meantime ends here, too.
    remaining = marked(var)
    _signal(remaining, signal.SIGKILL)
    wait_until_ended(remaining, grace_seconds)
    return len(first_found)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(number)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        mark: str | None = process.environ().get(MARK)
    except (psutil.Error, OSError):  # Another user's, or gone.
        return None
    return mark
