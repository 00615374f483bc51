"""Starting engines: processes that a trainer cannot leave behind, and that know no secret."""

import ctypes
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.patience import PATIENT_THREADS
from training.job_log import harmless_environment

Child = subprocess.Popen[bytes]
_PROJECT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1


def start_engine(*arguments: str, **options: Any) -> Child:
    """`python -m engine` in a session of its own; its events are read from a pipe.

    The kernel kills it when this thread's process dies, so a kill -9 of the trainer leaves nothing
    behind that still trains on a machine whose lease somebody else may get. Beside a server it
    waits with little spinning, so that pages stay quick.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments],
        stdout=subprocess.PIPE,
        env=harmless_environment() | PATIENT_THREADS | {"PYTHONUNBUFFERED": "1"},
        cwd=_PROJECT,
        start_new_session=True,
        preexec_fn=_die_with_parent,
        **options,
    )


def _die_with_parent() -> None:
    """Linux only: SIGKILL to the child when the thread that made it dies."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
