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
from tests.engine.conftest import ROOT, engine_process

PATIENCE = 300
WAYS = [("none", "adamw"), ("none", "adafactor"), ("full", "adamw"), ("full", "sgd")]


def learn(
    folder: Path, processes: int, *, leave_after: int = 0, resume: Path | None = None, **dials
) -> subprocess.CompletedProcess:
    """A lesson in this many processes, which leaves its weights in the folder."""
    folder.mkdir()
    hyperparameters = {"epochs": 4, "precision": "fp32", "early_stopping_patience": 0} | dials
    spec = {
        "task": "tabular-classification",
        "data": "-",
        "target_column": "b",
        "output": str(folder / "artifact"),
        "work": str(folder / "work"),
        "resume_from": str(resume) if resume else None,
        "hyperparameters": hyperparameters,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(processes)]
    command += ["-m", "tests.engine.shared_lesson", str(folder / "spec.json")]
    command += [str(folder / "weights"), str(leave_after)]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def weights_of(folder: Path):
    return load_file(folder / "weights")


def furthest(one, other) -> float:
    assert one.keys() == other.keys()
    return max(float(abs(one[name] - other[name]).max()) for name in one)


@pytest.mark.parametrize(("sharding", "optimizer"), WAYS)
def test_two_processes_take_the_same_steps_as_one(tmp_path, sharding, optimizer):
    alone = learn(tmp_path / "alone", 1, optimizer=optimizer)
    assert alone.returncode == 0, alone.stderr
    shared = learn(tmp_path / "shared", 2, optimizer=optimizer, sharding=sharding)
    assert shared.returncode == 0, shared.stderr
    assert furthest(weights_of(tmp_path / "shared"), weights_of(tmp_path / "alone")) < 1e-4


@pytest.mark.parametrize("sharding", ["none", "full"])
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on(tmp_path, sharding, before, after):
    whole = learn(tmp_path / "whole", 1, sharding=sharding)
    assert whole.returncode == 0, whole.stderr
    stopped = learn(tmp_path / "stopped", before, leave_after=2, sharding=sharding)
    assert stopped.returncode != 0
    checkpoint = tmp_path / "stopped/work/checkpoints/step-000016"  # Of the second epoch's end.
    resumed = learn(tmp_path / "resumed", after, resume=checkpoint, sharding=sharding)
    assert resumed.returncode == 0, resumed.stderr
    assert "damaged" not in resumed.stdout
    assert furthest(weights_of(tmp_path / "resumed"), weights_of(tmp_path / "whole")) < 1e-4


def test_what_parts_cannot_do_is_refused(tmp_path):
    told = learn(tmp_path / "refused", 2, sharding="full", optimizer="adafactor")
    assert "sharding: full does not go with the optimizer adafactor" in told.stderr


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
