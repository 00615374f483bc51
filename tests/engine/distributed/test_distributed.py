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

from engine.events import parse_event
from tests.engine.conftest import ROOT, engine_process
from tests.engine.distributed import shared_lesson

SECONDS = 300
nightly = pytest.mark.nightly
VARIANTS = [("none", "adamw"), ("full", "adamw")]
LONG_VARIANTS = [("none", "adafactor"), ("full", "sgd")]
SHARDING = ["none", "full"]
same_worker = pytest.mark.xdist_group("lessons")  # They are trained once in each worker.
pytestmark = pytest.mark.slow
LEAVE_AFTER, LEFT_AT = 2, "step-000016"  # In the validation that ends the second epoch.


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """Trainings by one and by two processes, and one by two processes that one process began, each
    in a folder of its own that holds its weights and how it ended. Few processes run all of them,
    because torch loads slowly."""
    root = tmp_path_factory.mktemp("lessons")
    for sharding, optimizer in VARIANTS:
        write(root / f"alone-{optimizer}", optimizer=optimizer)
        write(root / f"two-{sharding}-{optimizer}", sharding=sharding, optimizer=optimizer)
    write(root / "refused", sharding="full", optimizer="adafactor")
    write_resumed(root, before=1, sharding="full")
    shared_lesson.main(str(root / "alone-adamw"), str(root / "left-by-1-full"))
    by_two([*sorted(root.glob("two-*")), root / "refused", root / "after-1-full"])
    return root


@pytest.fixture(scope="module")
def long_lessons(tmp_path_factory):
    """Further optimizers, and every change of the number of processes."""
    root = tmp_path_factory.mktemp("long-lessons")
    write(root / "alone-adamw", optimizer="adamw")
    for sharding, optimizer in LONG_VARIANTS:
        write(root / f"alone-{optimizer}", optimizer=optimizer)
        write(root / f"two-{sharding}-{optimizer}", sharding=sharding, optimizer=optimizer)
    for sharding in SHARDING:
        for before in (1, 2):
            write_resumed(root, before=before, sharding=sharding)
    alone = sorted(root.glob("alone-*")) + sorted(root.glob("left-by-1-*"))
    shared_lesson.main(*map(str, alone))
    by_two(sorted(root.glob("two-*")) + sorted(root.glob("left-by-2-*")))
    shared_lesson.main(*map(str, sorted(root.glob("after-2-*"))))
    by_two(sorted(root.glob("after-1-*")))
    return root


def write_resumed(root: Path, *, before: int, sharding: str) -> None:
    """A training that `before` processes leave early, and one that goes on from its checkpoint."""
    left = root / f"left-by-{before}-{sharding}"
    write(left, leave_after=LEAVE_AFTER, sharding=sharding)
    checkpoint = left / "work/checkpoints" / LEFT_AT
    write(root / f"after-{before}-{sharding}", resume_from=checkpoint, sharding=sharding)


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
    command += [
        "--nproc-per-node",
        "2",
        "-m",
        "tests.engine.distributed.shared_lesson",
        *map(str, folders),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, env=environment
    )
    assert done.returncode == 0, done.stderr[-5000:]


def furthest(one: Path, other: Path) -> float:
    """The largest difference of any weight."""
    first, second = load_file(one / "weights"), load_file(other / "weights")
    assert first.keys() == second.keys()
    return max(float(abs(first[name] - second[name]).max()) for name in first)


def assert_same_steps(root: Path, sharding: str, optimizer: str) -> None:
    alone, two = root / f"alone-{optimizer}", root / f"two-{sharding}-{optimizer}"
    assert (two / "end").read_text() == (alone / "end").read_text() == "step 32, 244 rows"
    assert furthest(two, alone) < 1e-4


def assert_resumed(root: Path, sharding: str, before: int) -> None:
    assert (root / f"left-by-{before}-{sharding}/end").read_text() == "stopped"
    resumed = root / f"after-{before}-{sharding}"
    assert (resumed / "end").read_text() == "step 32, 244 rows"
    assert furthest(resumed, root / "alone-adamw") < 1e-4


@same_worker
@pytest.mark.parametrize(("sharding", "optimizer"), VARIANTS)
def test_two_processes_take_the_same_steps_as_one(lessons, sharding, optimizer):
    assert_same_steps(lessons, sharding, optimizer)


@nightly
@same_worker
@pytest.mark.parametrize(("sharding", "optimizer"), LONG_VARIANTS)
def test_two_processes_take_the_same_steps_with_other_optimizers(long_lessons, sharding, optimizer):
    assert_same_steps(long_lessons, sharding, optimizer)


@same_worker
def test_two_processes_go_on_with_sharded_weights_where_one_stopped(lessons):
    assert_resumed(lessons, "full", before=1)


@nightly
@same_worker
@pytest.mark.parametrize("sharding", SHARDING)
@pytest.mark.parametrize("before", [1, 2])
def test_another_number_of_processes_goes_on(long_lessons, sharding, before):
    assert_resumed(long_lessons, sharding, before)


@same_worker
def test_the_lessons_teach(lessons):
    assert furthest(lessons / "alone-adamw", lessons / "left-by-1-full") > 0.05


@same_worker
def test_what_parts_cannot_do_is_refused(lessons):
    result = (lessons / "refused/end").read_text()
    assert result.startswith("sharding: full does not go with the optimizer adafactor")


def started(write_spec, name: str) -> subprocess.Popen:
    """A long job in two processes that has taken its first steps."""
    dials = {"epochs": 500, "precision": "fp32", "early_stopping_patience": 0}
    engine = engine_process("train", write_spec(name, hyperparameters=dials), "--processes", 2)
    for line in engine.stdout:
        if parse_event(line).event == "metric":
            return engine
    raise AssertionError(engine.stderr.read()[-3000:])


def ranks_of(engine: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(engine.pid).children()


@nightly
def test_a_stopped_job_leaves_one_checkpoint(write_spec):
    engine = started(write_spec, "stopped")
    engine.terminate()
    out, errors = engine.communicate(timeout=SECONDS)
    assert engine.returncode == 4, errors[-3000:]
    assert parse_event(out.splitlines()[-1]).event == "checkpoint"


@pytest.mark.nightly
def test_a_job_ends_as_its_killed_process_did(write_spec):
    engine = started(write_spec, "killed")
    first, second = sorted(ranks_of(engine), key=lambda one: one.create_time())
    second.kill()
    out, errors = engine.communicate(timeout=SECONDS)
    assert engine.returncode == -signal.SIGKILL, errors[-3000:]
    assert '"error"' not in out  # Nothing is said of the one that only lost it.
    assert not first.is_running()


@nightly
def test_killing_the_launcher_leaves_no_process_behind(write_spec):
    engine = started(write_spec, "orphans")
    ranks = ranks_of(engine)
    engine.kill()
    engine.communicate(timeout=SECONDS)
    deadline = time.monotonic() + 60
    while any(one.is_running() and one.status() != "zombie" for one in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@nightly
def test_a_whole_job_of_two_processes_speaks_once(write_spec):
    engine = engine_process("train", write_spec("shared"), "--processes", 2)
    out, errors = engine.communicate(timeout=SECONDS)
    assert engine.returncode == 0, errors[-3000:]
    result = [parse_event(line).event for line in out.splitlines()]
    assert result.count("data") == result.count("result") == 1


@pytest.mark.nightly
def test_what_is_wrong_with_the_data_is_said_once(write_spec):
    columns = {"text": ["one", "two", "three"], "label": ["a", "a", "a"]}
    engine = engine_process("train", write_spec("wrong", columns=columns), "--processes", 2)
    out, errors = engine.communicate(timeout=SECONDS)
    result = [parse_event(line) for line in out.splitlines()]
    assert [event.code for event in result if event.event == "error"] == ["bad_data"], errors[
        -2000:
    ]
    assert engine.returncode == 3
