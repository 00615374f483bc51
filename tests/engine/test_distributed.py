"""Several processes train one model: two of them, on the processor, with gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from engine.events import parse_line
from tests.engine import shared_lesson
from tests.engine.conftest import ROOT, engine_process

PATIENCE = 300
WAYS = [("none", "adamw"), ("none", "adafactor"), ("full", "adamw"), ("full", "sgd")]
SHARDING = ["none", "full"]
same_worker = pytest.mark.xdist_group("lessons")  # Which are made once there.
pytestmark = pytest.mark.slow
LEAVE_AFTER, LEFT_AT = 2, "step-000016"  # In the validation that ends the second epoch.


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """All lessons of this module, each in a folder of its own, in few processes: torch loads
    slowly. Each folder holds the lesson's weights and how it ended."""
    root = tmp_path_factory.mktemp("lessons")
    for sharding, optimizer in WAYS:
        write(root / f"alone-{optimizer}", optimizer=optimizer)
        write(root / f"two-{sharding}-{optimizer}", sharding=sharding, optimizer=optimizer)
    write(root / "refused", sharding="full", optimizer="adafactor")
    for way in SHARDING:
        write(root / f"left-by-2-{way}", leave_after=LEAVE_AFTER, sharding=way)
        write(root / f"left-by-1-{way}", leave_after=LEAVE_AFTER, sharding=way)
        for before in (1, 2):
            checkpoint = root / f"left-by-{before}-{way}/work/checkpoints" / LEFT_AT
            write(root / f"after-{before}-{way}", resume_from=checkpoint, sharding=way)
    alone = sorted(root.glob("alone-*")) + sorted(root.glob("left-by-1-*"))
    shared_lesson.main(*map(str, alone))
    by_two(sorted(root.glob("two-*")) + sorted(root.glob("left-by-2-*")) + [root / "refused"])
    shared_lesson.main(*map(str, sorted(root.glob("after-2-*"))))
    by_two(sorted(root.glob("after-1-*")))
    return root


def write(folder: Path, *, leave_after: int = 0, resume_from: Path | None = None, **dials) -> None:
    folder.mkdir(exist_ok=True)
    hyperparameters = {"epochs": 4, "precision": "fp32", "early_stopping_patience": 0} | dials
    spec = {
        "task": "tabular-classification",
        "data": "-",
        "target_column": "b",
        "output": str(folder / "artifact"),
        "work": str(folder / "work"),
        "resume_from": str(resume_from) if resume_from else None,
        "hyperparameters": hyperparameters,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "leave-after").write_text(str(leave_after))


def by_two(folders: list[Path]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "tests.engine.shared_lesson", *map(str, folders)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, env=environment
    )
    assert done.returncode == 0, done.stderr[-5000:]


def furthest(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    first, second = load_file(one / "weights"), load_file(other / "weights")
    assert first.keys() == second.keys()
    return max(float(abs(first[name] - second[name]).max()) for name in first)


@same_worker
@pytest.mark.parametrize(("sharding", "optimizer"), WAYS)
def test_two_processes_take_the_same_steps_as_one(lessons, sharding, optimizer):
    alone, two = lessons / f"alone-{optimizer}", lessons / f"two-{sharding}-{optimizer}"
    assert (two / "end").read_text() == (alone / "end").read_text() == "step 32, 244 rows"
    assert furthest(two, alone) < 1e-4


@same_worker
@pytest.mark.parametrize("sharding", SHARDING)
@pytest.mark.parametrize("before", [1, 2])
def test_another_number_of_processes_goes_on(lessons, sharding, before):
    assert (lessons / f"left-by-{before}-{sharding}/end").read_text() == "stopped"
    resumed = lessons / f"after-{before}-{sharding}"
    assert (resumed / "end").read_text() == "step 32, 244 rows"
    assert furthest(resumed, lessons / "alone-adamw") < 1e-4


@same_worker
def test_the_lessons_teach(lessons):
    assert furthest(lessons / "alone-adamw", lessons / "left-by-1-none") > 0.05


@same_worker
def test_what_parts_cannot_do_is_refused(lessons):
    said = (lessons / "refused/end").read_text()
    assert said.startswith("sharding: full does not go with the optimizer adafactor")


def started(write_spec, name: str) -> subprocess.Popen:
    """A long job in two processes that has taken its first steps."""
    dials = {"epochs": 500, "precision": "fp32", "early_stopping_patience": 0}
    engine = engine_process("train", write_spec(name, hyperparameters=dials), "--processes", 2)
    for line in engine.stdout:
        if parse_line(line).event == "metric":
            return engine
    raise AssertionError(engine.stderr.read()[-3000:])


def ranks_of(engine: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(engine.pid).children()


def test_a_stopped_job_leaves_one_checkpoint(write_spec):
    engine = started(write_spec, "stopped")
    engine.terminate()
    out, errors = engine.communicate(timeout=PATIENCE)
    assert engine.returncode == 4, errors[-3000:]
    assert parse_line(out.splitlines()[-1]).event == "checkpoint"


def test_a_job_ends_as_its_killed_process_did(write_spec):
    engine = started(write_spec, "killed")
    first, second = sorted(ranks_of(engine), key=lambda one: one.create_time())
    second.kill()
    out, errors = engine.communicate(timeout=PATIENCE)
    assert engine.returncode == -signal.SIGKILL, errors[-3000:]
    assert '"error"' not in out  # Nothing is said of the one that only lost it.
    assert not first.is_running()


def test_killing_the_launcher_leaves_no_process_behind(write_spec):
    engine = started(write_spec, "orphans")
    ranks = ranks_of(engine)
    engine.kill()
    engine.communicate(timeout=PATIENCE)
    deadline = time.monotonic() + 60
    while any(one.is_running() and one.status() != "zombie" for one in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_whole_job_of_two_processes_speaks_once(write_spec):
    engine = engine_process("train", write_spec("shared"), "--processes", 2)
    out, errors = engine.communicate(timeout=PATIENCE)
    assert engine.returncode == 0, errors[-3000:]
    told = [parse_line(line).event for line in out.splitlines()]
    assert told.count("data") == told.count("result") == 1


def test_what_is_wrong_with_the_data_is_said_once(write_spec):
    columns = {"text": ["one", "two", "three"], "label": ["a", "a", "a"]}
    engine = engine_process("train", write_spec("wrong", columns=columns), "--processes", 2)
    out, errors = engine.communicate(timeout=PATIENCE)
    told = [parse_line(line) for line in out.splitlines()]
    assert [event.code for event in told if event.event == "error"] == ["bad_data"], errors[-2000:]
    assert engine.returncode == 3
