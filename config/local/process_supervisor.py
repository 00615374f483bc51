"""Running the services of one machine in one terminal.

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

from config.local import orphan_processes

FIRST_RESTART_DELAY_SECONDS = 1.0
MAX_RESTART_DELAY_SECONDS = 30.0
STABLE_SECONDS = 60.0  # A service that ran this long is restarted after the first delay again.
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
    waits: bool = False  # Until others are ready: the first page needs the processor more.


@dataclass
class _ServiceProcess:
    """One service's current process, and the delay until its next restart."""

    service: Service
    colour: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    restart_delay_seconds: float = field(default_factory=lambda: FIRST_RESTART_DELAY_SECONDS)
    # Process groups whose leader has died, and when whoever is left of them is killed.
    orphans: dict[int, float] = field(default_factory=dict)


@dataclass
class Supervisor:
    """Runs the services until `stopping` is set. Their environment marks the installation."""

    services: list[Service]
    var: Path
    on_tick: Callable[[], None] = lambda: None
    stopping: threading.Event = field(default_factory=threading.Event)
    others_are_ready: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._printer = Printer(width=max(len(service.name) for service in self.services))
        self._printing = threading.Lock()
        self._is_killing = False
        self._runs = [
            _ServiceProcess(service, colour)
            for service, colour in zip(self.services, get_colours(), strict=False)
        ]

    def run(self) -> None:
        """Keep the services running until `stopping` is set, then end all they started."""
        try:
            while not self.stopping.wait(TICK_SECONDS):
                for run in self._runs:
                    self._check_service(run)
                self.on_tick()
        finally:
            ignore_interrupts()
            self.stopping.set()
            self._shut_down()

    def run_once(self, service: Service) -> None:
        """Start a command that ends by itself; what it prints is shown. Stopping ends it, too, for
        its environment marks the installation."""
        self._start_service(_ServiceProcess(service, "white"))

    def print_lines(self, text: str, name: str = "lathe", colour: str | None = None) -> None:
        """Print lines among those of the services. When the terminal is closed, stop."""
        with self._printing:
            try:
                self._printer.write(Message("line", text, datetime.now(), name, colour))
            except (OSError, ValueError):
                self.stopping.set()

    def _check_service(self, run: _ServiceProcess) -> None:
        now = time.monotonic()
        for group, deadline in list(run.orphans.items()):
            is_empty = not _signal_group(group, signal.SIGKILL if now > deadline else None)
            if is_empty or now > deadline:
                del run.orphans[group]
        if run.process is None:
            may_start = self.others_are_ready.is_set() or not run.service.waits
            if may_start and now >= run.restart_at:
                self._start_service(run)
            return
        code = run.process.poll()
        if code is None:
            return
        if now - run.started_at > STABLE_SECONDS:
            run.restart_delay_seconds = FIRST_RESTART_DELAY_SECONDS
        # Its children would go on without it: those of a web process would serve old code.
        _signal_group(run.process.pid, signal.SIGTERM)
        run.orphans[run.process.pid] = now + ORPHAN_GRACE_SECONDS
        run.process, run.restart_at = None, now + run.restart_delay_seconds
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        delay = run.restart_delay_seconds
        self.print_lines(f"{run.service.name} ended ({reason}); again in {delay:.0f} s")
        run.restart_delay_seconds = min(2 * run.restart_delay_seconds, MAX_RESTART_DELAY_SECONDS)

    def _start_service(self, run: _ServiceProcess) -> None:
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
        threading.Thread(target=self._relay_output, args=(run, run.process), daemon=True).start()

    def _relay_output(self, run: _ServiceProcess, process: subprocess.Popen[bytes]) -> None:
        for line in process.stdout or ():
            if self._is_killing:  # Errors at this stage tell nothing.
                continue
            self.print_lines(line.decode(errors="replace").rstrip(), run.service.name, run.colour)

    def _shut_down(self) -> None:
        """End the services first, which end their own children cleanly; then all others."""
        self.print_lines("Stopping.")
        running = [run.process for run in self._runs if run.process]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in running):
            time.sleep(0.05)
        self._is_killing = True
        orphan_processes.terminate_all(self.var)
        for process in running:
            process.wait()


def _signal_group(group: int, number: signal.Signals | None) -> bool:
    """Signal the group of a dead leader; returns whether it has members. None only checks."""
    try:
        os.killpg(group, number or 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def ignore_interrupts() -> None:
    """From now on: a second Ctrl-C would leave processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
