"""Models over the native API."""

import io
import zipfile

import pytest

from tests.training.made import make_model
from training.models import Evaluation, TrainedModel

MODELS = "/api/v1/models"


@pytest.fixture
def model(job, tmp_path) -> TrainedModel:
    job.start()
    model = make_model(job, tmp_path / "artifact", ["card", "transfer"])
    job.succeed(model)
    return model


def test_a_model_names_its_job_data_and_headline_metrics(api, token, model, job):
    answer = api(token).get(f"{MODELS}/{model.pk}").json()
    assert answer["job"] == str(job.pk)
    assert answer["labels"] == ["card", "transfer"]
    assert answer["metrics"]["accuracy"] == model.metrics["accuracy"]
    assert answer["dataset_version"] == 1
    assert api(token).get(MODELS).json()["data"] == [answer]
    assert api(token).get(f"/api/v1/training-jobs/{job.pk}").json()["model"] == str(model.pk)


def test_the_evaluation_is_the_whole_report(api, token, model):
    answer = api(token).get(f"{MODELS}/{model.pk}/evaluation").json()
    assert answer == Evaluation.objects.get().report
    assert {"headline", "metrics", "baselines", "confusion", "calibration"} <= set(answer)


def test_the_download_is_a_zip(api, token, model):
    answer = api(token).get(f"{MODELS}/{model.pk}/download")
    with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as archive:
        assert archive.testzip() is None
        assert "manifest.json" in archive.namelist()


@pytest.mark.parametrize("tail", ["", "/evaluation", "/download"])
def test_strangers_find_no_model(api, mallory_token, client, model, tail):
    assert api(mallory_token).get(f"{MODELS}/{model.pk}{tail}").status_code == 404
    assert client.get(f"{MODELS}/{model.pk}{tail}").status_code == 401


def test_a_stranger_lists_no_model(api, mallory_token, model):
    assert api(mallory_token).get(MODELS).json()["data"] == []
