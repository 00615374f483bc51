"""The engine as a child process: prewarmed or not, killed whole, and read to its last event."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.errors import EXIT_CUSTOMER_FAULT, EXIT_STOPPED
from engine.events import Event, Failure
from tests.training import fake_engine
from training.worker import engine_process
from training.worker.engine_process import EngineProcess, PrewarmedEngine, prewarmed


@pytest.fixture
def as_trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(engine_process.IS_TRAINER_VARIABLE, "yes")
    yield
    prewarmed.discard()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        engine_process, "ENGINE_COMMAND", (sys.executable, "-m", "tests.training.fake_engine")
    )


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path, epochs=1)


def write_spec(folder: Path, *, epochs: int, seed: int = 0) -> Path:
    import json

    path = folder / "spec.json"
    path.write_text(
        json.dumps(
            {
                "task": "text-classification",
                "base_model": "tiny",
                "output": str(folder / "artifact"),
                "work": str(folder / "work"),
                "checkpoint_seconds": 60,
                "hyperparameters": {"epochs": epochs, "seed": seed},
            }
        )
    )
    return path


def outcome(engine: EngineProcess) -> tuple[list[Event], int | None]:
    events: list[Event] = []
    deadline = time.monotonic() + 120
    while not engine.has_ended and time.monotonic() < deadline:
        events += engine.events(0.5)
    return events, engine.exit_code


@pytest.mark.slow
def test_the_prewarmed_engine_runs_the_job_as_a_fresh_one_would(
    as_trainer: None, tmp_path: Path
) -> None:
    """With the real engine."""
    (tmp_path / "spec.json").write_text("[]")
    prewarmed.start()
    waiting = prewarmed.pid
    prewarmed.start()
    assert prewarmed.pid == waiting, "one is enough"
    outcomes = []
    for expected in (True, False):
        with EngineProcess(tmp_path / "spec.json", log=tmp_path / "log") as engine:
            assert (engine.pid == waiting) is expected
            outcomes.append(outcome(engine))
    (event,), code = outcomes[0]
    assert isinstance(event, Failure)
    assert (event.code, code) == ("bad_data", EXIT_CUSTOMER_FAULT)
    assert outcomes[0] == outcomes[1]
    assert (tmp_path / "log").read_text().count("BadTrainingData: ") == 2


def test_an_engine_that_died_while_it_waited_is_not_taken(
    as_trainer: None, fake: None, spec: Path, tmp_path: Path
) -> None:
    prewarmed.start()
    os.kill(prewarmed.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(prewarmed.pid)], timeout=10)
    assert prewarmed.take(spec, tmp_path / "log") is None
    assert prewarmed.pid is None


def test_a_job_on_several_devices_leaves_the_prewarmed_engine_alone(
    as_trainer: None, fake: None, spec: Path, tmp_path: Path
) -> None:
    prewarmed.start()
    waiting = prewarmed.pid
    with EngineProcess(spec, log=tmp_path / "log", devices=2) as engine:
        assert engine.pid != waiting
    assert prewarmed.pid == waiting


def test_two_processes_of_a_pool_each_keep_their_own(as_trainer: None, fake: None) -> None:
    first, second = PrewarmedEngine(), PrewarmedEngine()
    first.start()
    second.start()
    try:
        assert first.pid != second.pid
    finally:
        first.discard()
        second.discard()
    assert first.pid is None


def test_only_trainers_keep_one() -> None:
    assert engine_process.IS_TRAINER_VARIABLE not in os.environ
    prewarmed.start()
    assert prewarmed.pid is None


def test_an_engine_that_cannot_start_is_no_reason_to_fail(
    as_trainer: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "ENGINE_COMMAND", ("/nowhere/python",))
    prewarmed.start()
    assert prewarmed.pid is None


def test_every_event_is_handed_out_before_it_has_ended(
    fake: None, spec: Path, tmp_path: Path
) -> None:
    with EngineProcess(spec, log=tmp_path / "log") as engine:
        while psutil.pid_exists(engine.pid) and engine.exit_code is None:
            time.sleep(0.02)
        assert not engine.has_ended, "its events wait to be read"
        events, code = outcome(engine)
        assert list(engine.events(5)) == []
    assert code == 0
    assert events[0].event == "phase"
    assert events[-1].event == "result"


def test_a_stop_request_saves_a_checkpoint(fake: None, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, epochs=1000)
    with EngineProcess(spec, log=tmp_path / "log") as engine:
        while not any(event.event == "progress" for event in engine.events(1)):
            pass
        engine.request_stop()
        events, code = outcome(engine)
    assert code == EXIT_STOPPED
    assert events[-1].event == "checkpoint"
    assert not engine.ran_out_of_memory


def test_one_that_ignores_a_stop_request_is_killed_and_not_taken_for_out_of_memory(
    fake: None, tmp_path: Path
) -> None:
    spec = write_spec(tmp_path, epochs=1000, seed=fake_engine.STUBBORN)
    with EngineProcess(spec, log=tmp_path / "log") as engine:
        while not any(event.event == "progress" for event in engine.events(1)):
            pass
        engine.request_stop()
        assert list(engine.events(0.1))
        assert engine.exit_code is None
    assert engine.exit_code == -signal.SIGKILL
    assert not engine.ran_out_of_memory


def test_what_is_no_event_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = 'print(\'a stray print\'); print(\'{"event": "phase", "phase": "loading"}\')'
    monkeypatch.setattr(engine_process, "ENGINE_COMMAND", (sys.executable, "-c", script))
    with EngineProcess(tmp_path / "spec.json", log=tmp_path / "log") as engine:
        (event,), code = outcome(engine)
    assert (event.event, code) == ("phase", 0)


@pytest.mark.parametrize(
    ("queues", "is_on", "is_trainer"),
    [
        ("default", True, False),
        ("compute.cpu", True, True),
        (["default", "compute.gpu-h100"], True, True),
        ("compute.cpu", False, False),
        (None, True, False),
    ],
)
def test_a_worker_of_a_compute_queue_is_a_trainer(queues, is_on, is_trainer, monkeypatch, settings):
    monkeypatch.setenv(engine_process.IS_TRAINER_VARIABLE, "")
    monkeypatch.delenv(engine_process.IS_TRAINER_VARIABLE)
    settings.KEEP_ENGINE_READY = is_on
    engine_process._mark_trainer_process(options={"queues": queues})
    assert (engine_process.IS_TRAINER_VARIABLE in os.environ) is is_trainer
