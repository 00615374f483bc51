"""The whole product as `make up` starts it, for journeys that use it from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

same_worker = pytest.mark.xdist_group("product")  # Where the one they share was started.
PROJECT = Path(__file__).resolve().parents[2]
STEPS = """
import django
django.setup()
from tests.journeys.states import carry_out_steps
carry_out_steps()
"""
OWN = {"DATABASE_URL", "REDIS_URL", "STORAGE_URL", "DJANGO_SETTINGS_MODULE", "LATHE_VAR"}


class Product:
    """Every process of Lathe, on a folder and ports of its own."""

    def __init__(self, var: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.var = var
        kept = {key: value for key, value in os.environ.items() if key not in OWN}
        self.environment = kept | {
            "LATHE_VAR": str(var),
            "PORT": str(self.port),
            "LATHE_DEMO": "false",
            "LEASE_SECONDS": "15",
            "HEARTBEAT_SECONDS": "2",
        }
        self.environment |= environment
        self._states: subprocess.Popen[str] | None = None
        self.log = var / "up.log"
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.local.dev_server"],
                env=self.environment,
                cwd=PROJECT,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, seconds: float = 400) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            if "Lathe is ready" in self.log.read_text():
                return
            time.sleep(0.3)
        raise AssertionError(self.log.read_text()[-4000:])

    def manage(self, *arguments: str) -> str:
        """A management command in another terminal; its last line."""
        environment = self.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().splitlines()[-1]

    def change(self, step: str, *arguments: str) -> Any:
        """Carry out one function of tests.journeys.states; what it returns."""
        if self._states is None:
            self._states = subprocess.Popen(
                [sys.executable, "-c", STEPS],
                env=self.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._states.stdin.write(json.dumps([step, *arguments]) + "\n")
        self._states.stdin.flush()
        return json.loads(self._states.stdout.readline())

    def api(self, token: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def stop(self) -> None:
        """Ctrl-C, as a person would."""
        if self._states:
            self._states.communicate()
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
            self.process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
