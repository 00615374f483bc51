"""Keeping a handful of processes alive in one terminal.

They start together, are restarted one by one, and end together.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
from honcho.colour import get_colours
from honcho.printer import Message, Printer

from config import leftovers

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0  # Who ran this long starts again at once.
GRACE_SECONDS = 5.0
ORPHAN_GRACE_SECONDS = 35.0  # A trainer's pool process needs this long to save its job's state.
TICK_SECONDS = 0.2


@dataclass(frozen=True)
class Service:
    """A command that should always be running."""

    name: str
    command: list[str]
    environment: dict[str, str]
    niceness: int = 0


@dataclass
class _Run:
    """One service's present process and its record of restarts."""

    service: Service
    colour: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    pause_seconds: float = field(default_factory=lambda: FIRST_PAUSE_SECONDS)
    # Process groups whose leader has died, and when whoever is left of them is killed.
    orphans: dict[int, float] = field(default_factory=dict)


@dataclass
class Supervisor:
    """Runs the services, whose environment bears the installation's mark, until told to stop."""

    services: list[Service]
    var: Path
    every_tick: Callable[[], None] = lambda: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._printer = Printer(width=max(len(service.name) for service in self.services))
        self._printing = threading.Lock()
        self._is_insisting = False
        self._runs = [
            _Run(service, colour)
            for service, colour in zip(self.services, get_colours(), strict=False)
        ]

    def run(self) -> None:
        """Keep the services running until `stopping` is set, then end all they started."""
        try:
            while not self.stopping.wait(TICK_SECONDS):
                for run in self._runs:
                    self._look_after(run)
                self.every_tick()
        finally:
            ignore_interrupts()
            self.stopping.set()
            self._end()

    def say(self, text: str, name: str = "lathe", colour: str | None = None) -> None:
        """Print lines among the services' own; a closed terminal means: stop."""
        with self._printing:
            try:
                self._printer.write(Message("line", text, datetime.now(), name, colour))
            except (OSError, ValueError):
                self.stopping.set()

    def _look_after(self, run: _Run) -> None:
        now = time.monotonic()
        _hurry_orphans(run, now)
        if run.process is None:
            if now >= run.due_at:
                self._start(run)
            return
        code = run.process.poll()
        if code is None:
            return
        if now - run.started_at > STABLE_SECONDS:
            run.pause_seconds = FIRST_PAUSE_SECONDS
        # Its children would go on without it: a web process's still answer, with old code.
        _signal_group(run.process.pid, signal.SIGTERM)
        run.orphans[run.process.pid] = now + ORPHAN_GRACE_SECONDS
        run.process, run.due_at = None, now + run.pause_seconds
        self.say(f"{run.service.name} ended ({_reason(code)}); again in {run.pause_seconds:.0f} s")
        run.pause_seconds = min(2 * run.pause_seconds, LONGEST_PAUSE_SECONDS)

    def _start(self, run: _Run) -> None:
        # A session of its own: Ctrl-C reaches us alone, and we end the others in order.
        run.process = subprocess.Popen(
            run.service.command,
            env=run.service.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        run.started_at = time.monotonic()
        if run.service.niceness:
            psutil.Process(run.process.pid).nice(run.service.niceness)
        threading.Thread(target=self._relay, args=(run, run.process), daemon=True).start()

    def _relay(self, run: _Run, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            if self._is_insisting:  # How they die now says nothing of use.
                continue
            self.say(line.decode(errors="replace").rstrip(), run.service.name, run.colour)

    def _end(self) -> None:
        """First the services, which end their own children well; then whoever is left."""
        self.say("Stopping.")
        running = [run.process for run in self._runs if run.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(each.poll() is None for each in running):
            time.sleep(0.05)
        self._is_insisting = True
        leftovers.end_all(self.var)
        for process in running:
            process.wait()


def _hurry_orphans(run: _Run, now: float) -> None:
    for group, deadline in list(run.orphans.items()):
        is_empty = not _signal_group(group, signal.SIGKILL if now > deadline else None)
        if is_empty or now > deadline:
            del run.orphans[group]


def _signal_group(group: int, number: signal.Signals | None) -> bool:
    """Whether anybody is left in the group of a dead leader; without a signal, only looks."""
    try:
        os.killpg(group, number or 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def ignore_interrupts() -> None:
    """From now on: an impatient second Ctrl-C would leave processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
