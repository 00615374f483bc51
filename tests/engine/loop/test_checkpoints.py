"""A checkpoint folder is whole, of this job, and enough to resume from; others are ignored."""

import json

import pytest
import torch

from engine.loop import checkpoints
from engine.loop.checkpoints import CheckpointFolder, TrainingState, fingerprint


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"layer": torch.full((2, 3), value)}


def optimizer_state() -> dict:
    return {"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}}, "random": [1, 2]}


@pytest.fixture
def folder(tmp_path):
    return CheckpointFolder(tmp_path / "checkpoints", "this-job")


def save(folder, step: int, *, is_best: bool, best_step: int | None = None):
    state = TrainingState(step=step, best_step=step if best_step is None else best_step)
    return folder.save(state, weights(float(step)), optimizer_state(), is_best=is_best)


def names(folder) -> set[str]:
    return {path.name for path in folder.root.glob("step-*")}


def test_what_was_saved_is_loaded(folder):
    saved = folder.load(save(folder, 3, is_best=True))
    assert saved.state == TrainingState(step=3, best_step=3)
    assert torch.equal(saved.network["layer"], torch.full((2, 3), 3.0))
    assert torch.equal(saved.best["layer"], saved.network["layer"])
    assert saved.optimizer["random"] == [1, 2]


def test_only_the_newest_and_the_best_are_kept(folder):
    save(folder, 1, is_best=True)
    save(folder, 2, is_best=False, best_step=1)
    assert names(folder) == {"step-000001", "step-000002"}
    save(folder, 3, is_best=False, best_step=1)
    assert names(folder) == {"step-000001", "step-000003"}
    save(folder, 4, is_best=True)
    assert names(folder) == {"step-000004"}


def test_every_folder_holds_the_best_weights_so_far(folder):
    save(folder, 1, is_best=True)
    newest = save(folder, 2, is_best=False, best_step=1)
    assert torch.equal(folder.load(newest).best["layer"], weights(1.0)["layer"])


def test_before_the_first_best_there_are_none(folder):
    assert folder.load(save(folder, 1, is_best=False, best_step=-1)).best is None


def test_the_same_step_is_replaced(folder):
    save(folder, 1, is_best=True)
    folder.save(TrainingState(step=1), weights(9.0), optimizer_state(), is_best=True)
    assert torch.equal(
        folder.load(folder.root / "step-000001").network["layer"], weights(9.0)["layer"]
    )
    assert names(folder) == {"step-000001"}


def test_a_resumed_job_keeps_best_weights_of_a_folder_that_is_deleted_later(folder, tmp_path):
    save(folder, 1, is_best=True)
    newest = save(folder, 2, is_best=False, best_step=1)
    resumed = CheckpointFolder(tmp_path / "other-worker", "this-job")
    resumed.load(newest)
    for path in newest.iterdir():
        path.unlink()
    again = save(resumed, 3, is_best=False, best_step=1)
    assert torch.equal(resumed.load(again).best["layer"], weights(1.0)["layer"])


def test_without_hard_links_files_are_copied(folder, monkeypatch):
    def refuse(*_arguments):
        raise OSError("not supported here")

    monkeypatch.setattr(checkpoints.os, "link", refuse)
    newest = save(folder, 2, is_best=True)
    assert torch.equal(folder.load(newest).best["layer"], weights(2.0)["layer"])


@pytest.mark.parametrize("name", ["network.safetensors", "best.safetensors", "optimizer.pt"])
def test_an_altered_file_makes_the_checkpoint_unusable(folder, name):
    path = save(folder, 1, is_best=True)
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert folder.load(path) is None


def test_a_missing_or_half_written_checkpoint_is_none(folder, tmp_path):
    assert folder.load(tmp_path / "nowhere") is None
    path = save(folder, 1, is_best=True)
    (path / "manifest.json").write_text('{"format": 1, "fing')
    assert folder.load(path) is None


def test_a_checkpoint_of_another_job_is_none(folder, tmp_path):
    path = save(folder, 1, is_best=True)
    assert CheckpointFolder(tmp_path / "b", "another-job").load(path) is None


def test_a_state_with_unknown_fields_is_none(folder):
    path = save(folder, 1, is_best=True)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["state"]["mood"] = "good"
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert folder.load(path) is None


def test_a_fingerprint_depends_on_every_part_but_not_on_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}, "x") == fingerprint({"b": 2, "a": 1}, "x")
    assert len({fingerprint(1, 2), fingerprint(2, 1), fingerprint(1), fingerprint("1")}) == 4
