"""The engine as a child process: a spec in, JSON lines out, ended with its whole process group."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from engine.events import Event, parse_line
from training import ready_engine
from training.children import Child, start_engine

STOP_GRACE_SECONDS = 30.0
EXIT_STOPPED, EXIT_OUT_OF_MEMORY = 4, 5


class EngineProcess:
    """One running `python -m engine train`, which starts a process for each of several devices.

    Use as a context manager: leaving it kills the child and all that it started. An engine that
    waits ready is taken for a single device.
    """

    def __init__(self, spec: Path, *, log: Path, devices: int = 1) -> None:
        self.started_at = time.monotonic()
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._oom_kills_before = _oom_kills()
        self._was_killed_by_us = False
        ready = ready_engine.take(spec, log) if devices == 1 else None
        self._child = ready or _fresh(spec, log, devices)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._child.pid

    def events(self, wait_seconds: float) -> Iterator[Event]:
        """Events as they come, for about this long; ends early when the child has ended."""
        deadline = time.monotonic() + wait_seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                self._lines.put(None)
                return
            with contextlib.suppress(ValueError):  # A library's stray print is not an event.
                yield parse_line(line)

    @property
    def is_over(self) -> bool:
        """Whether the child has ended and every event of it was handed out."""
        if self._child.poll() is None:
            return False
        with self._lines.mutex:
            return list(self._lines.queue) == [None]

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    @property
    def ran_out_of_memory(self) -> bool:
        """The engine said so, or the kernel killed it for it."""
        code = self._child.poll()
        killed = code == -signal.SIGKILL and not self._was_killed_by_us
        return code == EXIT_OUT_OF_MEMORY or (killed and _oom_kills() > self._oom_kills_before)

    def ask_to_stop(self) -> None:
        """SIGTERM: checkpoint and leave."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def kill(self) -> None:
        """End the child and everything it started, and wait for all of it."""
        offspring = []
        if self._child.poll() is None:
            self._was_killed_by_us = True
            with contextlib.suppress(psutil.Error):
                offspring = psutil.Process(self._child.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        for one in offspring:  # Those in process groups of their own.
            with contextlib.suppress(psutil.Error):
                one.kill()
        self._child.wait()
        psutil.wait_procs(offspring, timeout=STOP_GRACE_SECONDS)

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)
        self._child.wait()
        self._lines.put(None)


def _fresh(spec: Path, log: Path, devices: int) -> Child:
    with log.open("ab") as sink:
        return start_engine(
            *("train", str(spec), "--processes", str(devices)),
            stdin=subprocess.DEVNULL,
            stderr=sink,
        )


def _oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since boot."""
    with contextlib.suppress(OSError), open("/proc/vmstat") as counters:
        for line in counters:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
