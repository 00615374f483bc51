"""Any two models of a team, compared on the page and over the API."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from projects import storage
from tests.training.made import make_model
from training.models import MetricPoint, Status, TrainingJob

LABELS = ["card", "transfer"]


@pytest.fixture
def pair(job, tmp_path):
    return [
        make_model(job, tmp_path / name, LABELS, pull=pull)
        for name, pull in (("good", 4.0), ("bad", 0.2))
    ]


def path_of(pair, prefix):
    return f"{prefix}compare{'/' if prefix == '/models/' else ''}?a={pair[0].pk}&b={pair[1].pk}"


def test_the_page_names_the_better_one_and_shows_rows_where_they_differ(pair, alice, client_of):
    page = client_of(alice).get(path_of(pair, "/models/")).content.decode()
    assert "The first is better: accuracy" in page
    assert "McNemar" in page
    assert "question" in page
    own = client_of(alice).get(f"/models/{pair[0].pk}/").content.decode()
    assert str(pair[1].pk) in own


def test_the_api_gives_the_same_and_refuses_in_words(pair, api, token, mallory_token):
    body = api(token).get(path_of(pair, "/api/v1/models/")).json()
    assert body["verdict"] == "helped"
    assert body["first"]["id"] == str(pair[0].pk)
    same = api(token).get(f"/api/v1/models/compare?a={pair[0].pk}&b={pair[0].pk}")
    assert (same.status_code, same.json()["error"]["code"]) == (409, "cannot_compare")
    bad = api(token).get("/api/v1/models/compare?a=1")
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "a")
    storage.delete(pair[1].artifact_key)
    gone = api(token).get(path_of(pair, "/api/v1/models/")).json()
    assert "no stored predictions" in gone["error"]["message"]
    assert api(mallory_token).get(path_of(pair, "/api/v1/models/")).status_code == 404


def test_strangers_and_nonsense_find_nothing(pair, mallory, alice, client_of):
    assert client_of(mallory).get(path_of(pair, "/models/")).status_code == 404
    assert client_of(alice).get("/models/compare/?a=x&b=").status_code == 404


def test_the_curves_and_parameters_of_both_jobs_stand_below(pair, job, alice, client_of):
    """In no more queries than any page may ask."""
    for place, model in enumerate(pair):
        made = TrainingJob.objects.get(pk=job.pk)
        made.pk, made._state.adding = uuid.uuid4(), True
        made.model, made.status, made.finished_at = model, Status.SUCCEEDED, now()
        made.recipe = {**job.recipe, "hyperparameters": {"epochs": 2 + place}}
        made.save()
        MetricPoint.objects.create(
            job=made, attempt_number=1, name="train_loss", step=1, value=0.5 + place
        )
    client = client_of(alice)
    assert client.get(path_of(pair, "/models/")).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        page = client.get(path_of(pair, "/models/")).content.decode()
    assert "metric=train_loss" in page
    assert 'class="differs"' in page
    assert len(captured.captured_queries) <= 12
