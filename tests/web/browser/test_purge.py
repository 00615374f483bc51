"""After thirty days in the trash data, files and reports are deleted, and nothing else is."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from inference.models import Deployment
from projects import purge, storage
from projects.models import Dataset, DatasetVersion, Project
from training.analysis import requests
from training.artifacts.purge import purge_jobs, purge_models
from training.errors import DataPurged
from training.models import Evaluation, MetricPoint, Status, TrainedModel, TrainingJob

LONG_AGO, LATELY = timedelta(days=31), timedelta(days=29)


@pytest.fixture(autouse=True)
def own_storage(settings, tmp_path):
    """What is stored here is no other test's artifact."""
    local = settings.STORAGES["default"]
    options = local["OPTIONS"] | {"location": str(tmp_path / "storage")}
    settings.STORAGES = settings.STORAGES | {"default": local | {"OPTIONS": options}}


@pytest.fixture
def stored(things, tmp_path):
    """Files of the dataset and the model; everything finished."""
    TrainingJob.objects.update(status=Status.CANCELLED, finished_at=now())
    Deployment.objects.update(retired_at=now())
    model, version = TrainedModel.objects.get(), DatasetVersion.objects.get()
    DatasetVersion.objects.update(profile={"columns": [{"examples": ["secret"]}]})
    (tmp_path / "file").write_text("secret")
    keys = [version.upload_key, f"datasets/{version.pk}/1/data.parquet",
            f"{model.artifact_key}/predictions.parquet"]  # fmt: skip
    for key in keys:
        storage.put_file(key, tmp_path / "file")
    MetricPoint.objects.create(
        job=TrainingJob.objects.get(pk=things["job"]),
        attempt_number=1, name="train_loss", step=1, value=1,
    )  # fmt: skip
    return keys


def purge_all():
    return purge.purge_datasets(), purge_models(), purge_jobs()


def test_what_is_kept_or_can_come_back_is_untouched(stored):
    assert purge_all() == (0, 0, 0)
    for kind in (Dataset, TrainedModel, TrainingJob, Project):
        kind.objects.update(archived_at=now() - LATELY)
    assert purge_all() == (0, 0, 0)
    assert all(map(storage.exists, stored))


@pytest.mark.parametrize("with_project", [False, True])
def test_what_was_in_the_trash_for_too_long_is_deleted(stored, with_project):
    kinds = (Project,) if with_project else (Dataset, TrainedModel, TrainingJob)
    for kind in kinds:
        kind.objects.update(archived_at=now() - LONG_AGO)
    assert purge_all() == (1, 1, TrainingJob.objects.count())
    assert not any(map(storage.exists, stored))
    assert not Evaluation.objects.exists()
    assert not MetricPoint.objects.exists()
    assert "secret" not in str(DatasetVersion.objects.values())
    assert purge_all() == (0, 0, 0)


def test_pages_of_what_is_deleted_say_so(stored, things, alice, client_of, api, token):
    Dataset.objects.update(archived_at=now() - LONG_AGO)
    TrainedModel.objects.update(archived_at=now() - LONG_AGO)
    purge_all()
    client, program = client_of(alice), api(token)
    for path, status in (
        (f"/datasets/{things['dataset']}/", 404),
        (f"/models/{things['model']}/", 410),
    ):
        answer = client.get(path)
        assert answer.status_code == 410
        assert "is deleted" in answer.content.decode()
        assert program.get(f"/api/v1{path.rstrip('/')}").status_code == 410
        assert client.post(f"{path}restore/").status_code == status
    assert client.get(f"/jobs/{things['job']}/").status_code == 200


def test_strangers_are_not_told_what_was_deleted(stored, things, mallory, client_of):
    TrainedModel.objects.update(archived_at=now() - LONG_AGO)
    Dataset.objects.update(archived_at=now() - LONG_AGO)
    purge_all()
    for path in (f"/datasets/{things['dataset']}/", f"/models/{things['model']}/"):
        assert client_of(mallory).get(path).status_code == 404


def test_a_model_outlives_its_data_but_is_not_asked_about_it(stored, things, alice, client_of):
    Dataset.objects.update(archived_at=now() - LONG_AGO)
    purge_all()
    assert client_of(alice).get(f"/models/{things['model']}/").status_code == 200
    with pytest.raises(DataPurged):
        requests.request_analysis(TrainedModel.objects.get(), alice, "explain", {"row": 1})
