"""A real models process, and the pass-through in front of it."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
from django.conf import settings
from django.db import connection

PROJECT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment() -> dict[str, str]:
    """The test's database and storage, for a process of its own."""
    facts = connection.settings_dict
    login = f"{facts['USER']}:{facts['PASSWORD']}"
    url = f"postgresql://{login}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"
    # The tests allow the ORM inside event loops; the real process must do without.
    inherited = {k: v for k, v in os.environ.items() if k != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    return inherited | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": settings.SECRET_KEY,
        "LATHE_VAR": str(settings.VAR_DIR),
        "STORAGE_URL": settings.STORAGE_URL,
    }


@contextmanager
def models_process(port: int):
    """`manage.py serve_models`, answering; killed at the end if it still runs."""
    command = [sys.executable, PROJECT / "manage.py", "serve_models", "--port", str(port)]
    process = subprocess.Popen(command, env=environment(), cwd=PROJECT)
    try:
        wait_until_healthy(port, process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)


def wait_until_healthy(port: int, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "the models process ended at once"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the models process does not answer")
