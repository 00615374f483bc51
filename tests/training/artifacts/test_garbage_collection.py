"""What a killed trainer left in storage is deleted; nothing that a row names ever is."""

import os
import time
import uuid

import pytest
from django.core.files.storage import default_storage

from projects import storage
from training.artifacts import garbage_collection
from training.models import TrainedModel

TWO_DAYS = 2 * 86_400


@pytest.fixture(autouse=True)
def own_storage(settings, tmp_path):
    """A sweep sees everything that is stored: here, only what the test stored."""
    local = settings.STORAGES["default"]
    options = local["OPTIONS"] | {"location": str(tmp_path / "storage")}
    settings.STORAGES = settings.STORAGES | {"default": local | {"OPTIONS": options}}


def stored(folder, pk=None, *, age_seconds=TWO_DAYS, is_complete=True):
    """The id of a model whose files are in storage, written so long ago."""
    pk = pk or uuid.uuid4()
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(b"weights")
    (folder / "manifest.json").write_text("{}")
    storage.put_folder(garbage_collection.artifact_key(pk), folder)
    if not is_complete:
        default_storage.delete(f"{garbage_collection.artifact_key(pk)}/manifest.json")
    written_at = time.time() - age_seconds
    for name in default_storage.listdir(garbage_collection.artifact_key(pk))[1]:
        os.utime(
            default_storage.path(f"{garbage_collection.artifact_key(pk)}/{name}"),
            (written_at, written_at),
        )
    return pk


def is_stored(pk):
    return storage.exists(f"{garbage_collection.artifact_key(pk)}/weights.bin")


@pytest.fixture
def model(job, tmp_path):
    pk = stored(tmp_path / "named")
    return TrainedModel.objects.create(
        pk=pk,
        team=job.team,
        project=job.project,
        dataset_version=job.dataset_version,
        name=job.name,
        task=job.task,
        base_model=job.base_model,
        artifact_key=garbage_collection.artifact_key(pk),
    )


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_day_old_folder_that_no_row_names_is_deleted(is_complete, model, tmp_path):
    orphan = stored(tmp_path / "orphan", is_complete=is_complete)
    assert garbage_collection.delete_orphans() == 1
    assert not is_stored(orphan)
    assert is_stored(model.pk)
    assert garbage_collection.delete_orphans() == 0


def test_a_fresh_folder_is_left_alone_for_its_trainer_may_be_about_to_finish(db, tmp_path):
    fresh = stored(tmp_path / "fresh", age_seconds=60)
    assert garbage_collection.delete_orphans() == 0
    assert is_stored(fresh)


def test_a_folder_is_kept_whose_row_appeared_after_the_list_was_read(model, monkeypatch):
    """The second look: the row is committed between reading all ids and deleting."""
    monkeypatch.setattr(storage, "list_folders", lambda prefix: [str(model.pk)], raising=True)
    rows = TrainedModel.objects.filter(pk=model.pk)
    row = rows.values().get()
    rows.delete()

    def commit_meanwhile(key):
        TrainedModel.objects.create(**row)
        return changed_at(key)

    changed_at = storage.last_modified
    monkeypatch.setattr(storage, "last_modified", commit_meanwhile)
    assert garbage_collection.delete_orphans() == 0
    assert is_stored(model.pk)


def test_what_is_not_named_like_a_model_is_not_ours_to_delete(db, tmp_path):
    stored(tmp_path / "other", "notes")
    assert garbage_collection.delete_orphans() == 0
    assert is_stored("notes")
