"""Whether `make up` runs here: its lock, the record it leaves of itself, and `make stop`."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from config.local import embedded, orphan_processes
from config.local.embedded_paths import EmbeddedError

STOP_SECONDS = 40


class AlreadyRunning(RuntimeError):
    """This installation runs in another terminal; the message says where."""


@dataclass(frozen=True)
class _InstanceRecord:
    pid: int
    url: str


@contextmanager
def hold_instance_lock(var: Path) -> Iterator[None]:
    """Hold the installation's lock, which the system frees should we be killed."""
    folder = var / "run"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        record = _read_record(var)
        where = f" at {record.url} (process {record.pid})" if record else ""
        raise AlreadyRunning(f"Lathe already runs{where}. End it with: make stop") from None
    try:
        yield
    finally:
        _record_file(var).unlink(missing_ok=True)
        os.close(lock)


def write_record(var: Path, url: str) -> None:
    """Tell `make stop` and a second `make up` about this process."""
    _record_file(var).write_text(json.dumps(asdict(_InstanceRecord(os.getpid(), url))))


def stop(var: Path) -> None:
    """End the installation's processes, wherever they were started, and its servers."""
    try:
        with hold_instance_lock(var):
            pass
    except AlreadyRunning:
        _request_shutdown(var)
    orphan_processes.terminate_all(var)
    embedded.stop(var)


def _request_shutdown(var: Path) -> None:
    if not (record := _read_record(var)):
        return
    with suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        try:
            with hold_instance_lock(var):
                return
        except AlreadyRunning:
            time.sleep(0.1)


def _record_file(var: Path) -> Path:
    return var / "run" / "up.json"


def _read_record(var: Path) -> _InstanceRecord | None:
    try:
        return _InstanceRecord(**json.loads(_record_file(var).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


if __name__ == "__main__":
    try:
        stop(embedded.ensure_var_folder())
    except EmbeddedError as error:
        sys.exit(str(error))
    print("Stopped.")
