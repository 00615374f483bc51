"""What an engine reports, and what storage and rows then hold."""

import pytest

from engine import events
from projects import storage
from training.models import Checkpoint
from training.scheduling import claims
from training.worker.event_recorder import store_checkpoint

pytestmark = pytest.mark.django_db


def saved(folder, step: int, text: str, *, is_best: bool = False) -> events.CheckpointSaved:
    folder.mkdir(exist_ok=True)
    (folder / storage.MANIFEST_FILE).write_text("{}")
    (folder / "state").write_text(text)
    return events.CheckpointSaved(
        step=step, epoch=1.0, path=str(folder), metrics={}, best=is_best
    )  # fmt: skip


def test_a_step_that_is_saved_twice_keeps_its_files(job, tmp_path):
    """On the clock and again at a stop: retention must not delete what both are stored in."""
    attempt = claims.claim(job.compute_class_id, "worker")
    store_checkpoint(attempt, saved(tmp_path / "saved", 7, "first"))
    store_checkpoint(attempt, saved(tmp_path / "saved", 7, "second"))
    checkpoint = Checkpoint.objects.get(job=job)
    assert checkpoint.deleted_at is None
    storage.fetch_folder(checkpoint.storage_key, tmp_path / "fetched")
    assert (tmp_path / "fetched" / "state").read_text() == "second"


def test_only_the_newest_and_the_best_are_kept(job, tmp_path):
    attempt = claims.claim(job.compute_class_id, "worker")
    for step, is_best in ((1, False), (2, True), (3, False), (4, False)):
        store_checkpoint(attempt, saved(tmp_path / "saved", step, str(step), is_best=is_best))
    assert set(Checkpoint.objects.kept().values_list("step", flat=True)) == {2, 4}
