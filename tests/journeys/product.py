"""The whole product as `make up` starts it, for journeys that use it from outside.

Beside other tests a training takes as long as it gets of the processors, and a deadline of a quiet
machine fails. So who waits for a job looks at the job itself: one that ended otherwise fails its
test at once, and the failure tells what its log says.
"""

import json
import os
import re
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
TRAINING_SECONDS = 12 * 60
PAGE_SECONDS = 60  # In which a page that is open shows how its job ended.
ENDED = {"succeeded", "failed", "cancelled", "paused"}  # Nothing more comes by itself.
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


def wait_for_status(product: Product, job: str, *statuses: str) -> dict[str, Any]:
    """What the job tells once it is in one of these. Fails the test where it ends in another, or
    goes on for TRAINING_SECONDS."""
    deadline = time.monotonic() + TRAINING_SECONDS
    while (told := product.change("tell_of_job", job))["status"] not in statuses:
        _require_going_on(told, statuses, deadline)
        time.sleep(1)
    return told


def wait_on_page(product: Product, job: str, sign: Any) -> None:
    """Until an open page shows `sign`, a Playwright locator: it may take TRAINING_SECONDS while the
    job goes on, and PAGE_SECONDS once it has ended."""
    from playwright.sync_api import TimeoutError as NotYet

    deadline = time.monotonic() + TRAINING_SECONDS
    ended_at = None
    while True:
        try:
            sign.wait_for(timeout=3_000)
            return
        except NotYet:
            told = product.change("tell_of_job", job)
        if told["status"] == "succeeded":
            ended_at = ended_at or time.monotonic()
            if time.monotonic() > ended_at + PAGE_SECONDS:
                pytest.fail(f"The page does not show {sign}.\n{_in_lines(told)}")
        else:
            _require_going_on(told, ("succeeded",), deadline)


def job_of(url: str) -> str:
    """The id in the address of a job's page."""
    found = re.search(r"/jobs/([0-9a-f-]{36})/", url)
    assert found, url
    return found[1]


def _require_going_on(told: dict[str, Any], wanted: tuple[str, ...], deadline: float) -> None:
    if told["status"] in ENDED:
        pytest.fail(f"The job should be {' or '.join(wanted)}.\n{_in_lines(told)}")
    if time.monotonic() > deadline:
        pytest.fail(f"Not {' or '.join(wanted)} after {TRAINING_SECONDS} s.\n{_in_lines(told)}")


def _in_lines(told: dict[str, Any]) -> str:
    log, events = told.pop("log"), told.pop("events")
    return "\n".join([json.dumps(told, indent=2), "Events:", *events, "End of the log:", log])
