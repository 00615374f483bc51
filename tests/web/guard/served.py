"""A real web process: granian, the guard, Django and the test's own database behind it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.local.services import BIN
from tests.inference.processes import PROJECT, environment, free_port, wait_until_healthy


@dataclass(frozen=True)
class Served:
    port: int
    pid: int
    temporary: Path  # Where the process spools bodies; nobody else writes here.


@contextmanager
def web_process(**variables: str) -> Iterator[Served]:
    """granian as `make up` starts it, with these environment variables; ended afterwards.

    DEBUG because static files were not collected here.
    """
    port = free_port()
    command = [
        f"{BIN}/granian", "--interface", "asginl", "config.asgi:application", "--no-ws",
        "--port", str(port), "--backlog", "2048", "--backpressure", "16384",
        "--log-level", "warning", "--workers-kill-timeout", "3",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="lathe-spool-") as folder:
        process = subprocess.Popen(
            command,
            env=environment() | {"TMPDIR": folder, "DEBUG": "true"} | variables,
            cwd=PROJECT,
        )
        try:
            wait_until_healthy(port, process)
            yield Served(port, process.pid, Path(folder))
        finally:
            process.terminate()
            process.wait(30)
