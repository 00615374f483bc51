"""An engine that waits ready takes the next job; without one, a job starts its own."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.events import Failure
from training import ready_engine
from training.engine_process import EngineProcess


@pytest.fixture
def as_trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(ready_engine.IS_TRAINER, "yes")
    yield
    if ready_engine._ready is not None:
        ready_engine._ready.kill()
        ready_engine._ready.wait()
    ready_engine._ready = None


def outcome(engine: EngineProcess) -> tuple[list[object], int | None]:
    events: list[object] = []
    deadline = time.monotonic() + 120
    while not engine.is_over and time.monotonic() < deadline:
        events += engine.events(0.5)
    return events, engine.exit_code


@pytest.mark.slow
def test_the_ready_engine_carries_the_job_as_a_fresh_one_would(
    as_trainer: None, tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text("[]")
    ready_engine.make_ready()
    waiting = ready_engine._ready
    ready_engine.make_ready()
    assert ready_engine._ready is waiting, "one is enough"
    told = []
    for expected in (True, False):
        with EngineProcess(tmp_path / "spec.json", log=tmp_path / "log") as engine:
            assert (engine.pid == waiting.pid) is expected
            told.append(outcome(engine))
    (event,), code = told[0]
    assert isinstance(event, Failure)
    assert (event.code, code) == ("bad_data", 3)
    assert told[0] == told[1]
    assert (tmp_path / "log").read_text().count("BadTrainingData: ") == 2


def test_an_engine_that_died_while_it_waited_is_not_taken(as_trainer: None, tmp_path: Path) -> None:
    ready_engine.make_ready()
    ready_engine._ready.kill()
    ready_engine._ready.wait()
    assert ready_engine.take(tmp_path / "spec.json", tmp_path / "log") is None


def test_only_trainers_keep_one() -> None:
    assert ready_engine.IS_TRAINER not in os.environ
    ready_engine.make_ready()
    assert ready_engine._ready is None


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
    monkeypatch.setenv(ready_engine.IS_TRAINER, "")
    monkeypatch.delenv(ready_engine.IS_TRAINER)
    settings.KEEP_ENGINE_READY = is_on
    ready_engine._notice(options={"queues": queues})
    assert (ready_engine.IS_TRAINER in os.environ) is is_trainer
