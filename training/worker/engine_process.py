"""The engine as a child process: a spec file in, JSON lines out, killed with all that it started.

Importing torch and what belongs to it takes seconds, which every job would wait and pay for. A
trainer therefore keeps one engine that has imported it already: the prewarmed engine. It holds
memory, but no device.
"""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from celery.signals import celeryd_init, worker_process_init
from django.conf import settings

from engine.errors import EXIT_OUT_OF_MEMORY
from engine.events import Event, parse_event
from engine.thread_env import THREAD_ENV
from training.models.compute_class import QUEUE_PREFIX
from web import child_process

logger = logging.getLogger(__name__)

ChildProcess = subprocess.Popen[bytes]
ENGINE_COMMAND = (sys.executable, "-m", "engine")
STOP_GRACE_SECONDS = 30.0
IS_TRAINER_VARIABLE = "LATHE_IS_TRAINER"  # In the environment, which the pool's processes inherit.


def spawn_engine(*arguments: str, **options: Any) -> ChildProcess:
    """`python -m engine`; its events are read from a pipe. `options` go to Popen.

    Its threads spin little while they wait, so that a web server beside it stays quick.
    """
    return child_process.spawn(
        [*ENGINE_COMMAND, *arguments],
        extra_environment=THREAD_ENV | {"PYTHONUNBUFFERED": "1"},
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        **options,
    )


@dataclass(eq=False)
class PrewarmedEngine:
    """An engine that has loaded torch and waits for its spec. A process keeps at most one."""

    _child: ChildProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start loading, unless one waits already or this process is no trainer's."""
        is_waiting = self._child is not None and self._child.poll() is None
        if is_waiting or IS_TRAINER_VARIABLE not in os.environ:
            return
        try:
            self._child = spawn_engine("wait", stdin=subprocess.PIPE)
        except OSError as error:  # A job will start one of its own, or say why it cannot.
            logger.warning("No engine could be prewarmed: %s", error)

    def take(self, spec: Path, log: Path) -> ChildProcess | None:
        """The waiting engine, after its spec was sent to it; None when there is none. It may still
        be loading."""
        child, self._child = self._child, None
        if child is None or child.stdin is None or child.poll() is not None:
            return None
        order = json.dumps({"spec": str(spec), "log": str(log)})
        with contextlib.suppress(OSError):
            child.stdin.write(f"{order}\n".encode())
            child.stdin.close()
            return child
        child_process.kill_group(child)
        return None

    def discard(self) -> None:
        """End the waiting engine, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child_process.kill_group(child)


prewarmed = PrewarmedEngine()


@celeryd_init.connect
def _mark_trainer_process(options: dict[str, Any], **_: object) -> None:
    queues = options.get("queues") or ()
    names: Iterable[str] = queues.split(",") if isinstance(queues, str) else queues
    if settings.KEEP_ENGINE_READY and any(str(name).startswith(QUEUE_PREFIX) for name in names):
        os.environ[IS_TRAINER_VARIABLE] = "yes"


@worker_process_init.connect
def _prewarm(**_: object) -> None:
    prewarmed.start()


class EngineProcess:
    """One running `python -m engine train`, which starts a process for each of several devices.

    Use as a context manager: leaving it kills the child and all that it started. The prewarmed
    engine is taken for a job on a single device.
    """

    def __init__(self, spec: Path, *, log: Path, devices: int = 1) -> None:
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._initial_oom_kill_count = _oom_kill_count()
        self._was_killed_here = False
        self._has_ended = False
        waiting = prewarmed.take(spec, log) if devices == 1 else None
        self._child = waiting or _spawn_training(spec, log, devices)
        threading.Thread(target=self._read_lines, daemon=True).start()

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        """Whether the child has ended and `events` has handed out every event of it."""
        return self._has_ended

    @property
    def exit_code(self) -> int | None:
        return self._child.poll()

    @property
    def ran_out_of_memory(self) -> bool:
        """The engine said so, or the kernel killed it for it."""
        code = self._child.poll()
        was_killed = code == -signal.SIGKILL and not self._was_killed_here
        return code == EXIT_OUT_OF_MEMORY or (
            was_killed and _oom_kill_count() > self._initial_oom_kill_count
        )

    def events(self, wait_seconds: float) -> Iterator[Event]:
        """Events as they come, for about this long; ends early when the child has ended."""
        deadline = time.monotonic() + wait_seconds
        while not self._has_ended and (seconds_left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=seconds_left)
            except queue.Empty:
                return
            if line is None:
                self._has_ended = True
                return
            with contextlib.suppress(ValueError):  # A library's stray print is not an event.
                yield parse_event(line)

    def request_stop(self) -> None:
        """SIGTERM: the engine saves a checkpoint and exits."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def kill(self) -> None:
        """End the child and everything it started, and wait for all of it."""
        descendants: list[psutil.Process] = []
        if self._child.poll() is None:
            self._was_killed_here = True
            with contextlib.suppress(psutil.Error):
                descendants = psutil.Process(self._child.pid).children(recursive=True)
        child_process.kill_group(self._child)
        for process in descendants:  # Those in process groups of their own.
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(descendants, timeout=STOP_GRACE_SECONDS)

    def _read_lines(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line)
        self._child.wait()
        self._lines.put(None)


def _spawn_training(spec: Path, log: Path, devices: int) -> ChildProcess:
    arguments = ("train", str(spec), "--processes", str(devices))
    with log.open("ab") as sink:
        return spawn_engine(*arguments, stdin=subprocess.DEVNULL, stderr=sink)


def _oom_kill_count() -> int:
    """How many processes the kernel has killed for want of memory since boot."""
    with contextlib.suppress(OSError), open("/proc/vmstat") as counters:
        for line in counters:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
