"""Real trainer processes for tests that kill them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import connection

# Before training: lets the trainer start the engine of tests, which needs no torch.
USE_FAKE_ENGINE = """
from tests.training import fake_engine
fake_engine.use()
"""
PROJECT = Path(__file__).resolve().parents[2]
RUN_QUEUED_JOBS = """
import django
django.setup()
from training.worker import runner
runner.run_queued_jobs("cpu")
"""


def environment(**changes: str) -> dict[str, str]:
    """What a process needs to work on the test database, with leases short enough to wait for."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"/{connection.settings_dict['NAME']}"
    return os.environ | {
        "DATABASE_URL": urlunsplit(url._replace(path=name)),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LATHE_VAR": str(settings.VAR_DIR),
        "LEASE_SECONDS": "8",
        "HEARTBEAT_SECONDS": "1",
        "PYTHONPATH": str(PROJECT),
        **changes,
    }


class Trainer:
    """One trainer process that runs all queued jobs, in a process group of its own."""

    def __init__(self, *, real_engine: bool = False, **changes: str) -> None:
        setup, run = RUN_QUEUED_JOBS.split("from training", 1)
        fake = "" if real_engine else USE_FAKE_ENGINE
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{setup}{fake}from training{run}"],
            env=environment(**changes),
            cwd=PROJECT,
            start_new_session=True,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self, seconds: float = 240) -> None:
        self.process.wait(seconds)

    def children(self) -> list[int]:
        """Process ids of the engines it runs."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wait_until(is_so: Callable[[], object], seconds: float = 120, what: str = "") -> None:
    """Look ten times a second; fails the test when it never becomes so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain {what}"
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
