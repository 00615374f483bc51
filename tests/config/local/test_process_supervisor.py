"""Restarting and ending processes; and what an earlier run, killed, left behind."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from config.local import orphan_processes, process_supervisor
from config.local.instance_lock import AlreadyRunning, hold_instance_lock, stop, write_record
from config.local.process_supervisor import Service, Supervisor

# A child in a session of its own, whose parent then sleeps, too.
BROODING = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleep, start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def eventually(happens: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if happens():
            return True
        time.sleep(0.02)
    return False


def marked_environment(var: Path) -> dict[str, str]:
    return dict(os.environ) | {orphan_processes.MARKER_VARIABLE: str(var)}


@contextmanager
def running(supervisor: Supervisor) -> Iterator[None]:
    """The supervisor, run as in the main thread but for the signals that only that one may set."""
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stopping.set()
        thread.join(30)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_supervisor, "FIRST_RESTART_DELAY_SECONDS", 0.1)
    monkeypatch.setattr(process_supervisor, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(process_supervisor, "ignore_interrupts", lambda: None)


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"open({str(starts)!r}, 'a').write('x')"
    service = Service("brief", [sys.executable, "-c", code], marked_environment(tmp_path))
    with running(Supervisor([service], tmp_path)):
        assert eventually(lambda: starts.exists() and len(starts.read_text()) >= 2)


def test_what_a_service_prints_appears_under_its_name(tmp_path: Path) -> None:
    code = "import time; print('hello', flush=True); time.sleep(60)"
    service = Service("speaker", [sys.executable, "-c", code], marked_environment(tmp_path))
    supervisor = Supervisor([service], tmp_path)
    lines: list[tuple[object, ...]] = []
    supervisor.print_lines = lambda *words: lines.append(words)  # type: ignore[method-assign]
    with running(supervisor):
        assert eventually(lambda: any(words[:2] == ("hello", "speaker") for words in lines))


@pytest.mark.slow
def test_a_killed_service_takes_its_children_along(tmp_path: Path, monkeypatch) -> None:
    """As a web server's main process does, whose worker would go on answering without it."""
    monkeypatch.setattr(process_supervisor, "ORPHAN_GRACE_SECONDS", 0.5)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {deaf!r}]);"
    command = [sys.executable, "-c", f"{code} time.sleep(60)"]
    service = Service("brood", command, marked_environment(tmp_path))
    with running(Supervisor([service], tmp_path)):
        assert eventually(lambda: len(orphan_processes.find_marked_processes(tmp_path)) == 2)
        first = orphan_processes.find_marked_processes(tmp_path)
        min(first, key=lambda one: one.create_time()).kill()
        assert eventually(lambda: not any(is_alive(one) for one in first))
        assert eventually(lambda: len(orphan_processes.find_marked_processes(tmp_path)) == 2)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_stopping_ends_grandchildren_in_sessions_of_their_own(tmp_path: Path) -> None:
    service = Service("brood", [sys.executable, "-c", BROODING], marked_environment(tmp_path))
    with running(Supervisor([service], tmp_path)):
        assert eventually(lambda: len(orphan_processes.find_marked_processes(tmp_path)) == 2)
    assert orphan_processes.find_marked_processes(tmp_path) == []


def test_what_a_killed_run_left_is_found_and_ended(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", BROODING], env=marked_environment(tmp_path), stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    orphan = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert orphan.is_running()
    assert orphan_processes.terminate_all(tmp_path) == 1
    assert orphan_processes.find_marked_processes(tmp_path) == []


def test_another_installations_processes_are_left_alone(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper, env=marked_environment(tmp_path / "other")) as other:
        orphan_processes.terminate_all(tmp_path)
        assert other.poll() is None
        other.kill()


def test_one_that_will_not_end_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN)"
    code = f"{deaf}; print(1, flush=True); time.sleep(60)"
    stubborn = subprocess.Popen(
        [sys.executable, "-c", code], env=marked_environment(tmp_path), stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    orphan_processes.terminate_all(tmp_path, grace_seconds=0.2)
    stubborn.communicate(timeout=60)
    assert stubborn.returncode == -9


def test_an_installation_runs_once(tmp_path: Path) -> None:
    with hold_instance_lock(tmp_path):
        write_record(tmp_path, "http://localhost:8000")
        with (
            pytest.raises(AlreadyRunning, match="http://localhost:8000"),
            hold_instance_lock(tmp_path),
        ):
            pass
    with hold_instance_lock(tmp_path):
        pass


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    stop(tmp_path)


def test_what_may_wait_starts_once_the_others_are_ready_and_a_single_run_is_not_repeated(
    tmp_path: Path,
) -> None:
    starts = tmp_path / "starts"

    def writing(letter: str, *, then: str = "time.sleep(60)", waits: bool = False) -> Service:
        code = f"import time; open({str(starts)!r}, 'a').write('{letter}'); {then}"
        command = [sys.executable, "-c", code]
        return Service(letter, command, marked_environment(tmp_path), waits=waits)

    supervisor = Supervisor([writing("l", waits=True), writing("f")], tmp_path)
    with running(supervisor):
        assert eventually(lambda: starts.exists() and starts.read_text() == "f")
        supervisor.run_once(writing("o", then=""))
        assert eventually(lambda: starts.read_text() == "fo")
        time.sleep(0.2)  # Time enough for ten ticks.
        assert starts.read_text() == "fo"
        supervisor.others_are_ready.set()
        assert eventually(lambda: starts.read_text() == "fol")
