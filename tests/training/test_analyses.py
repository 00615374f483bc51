"""Questions about a model are rows; workers answer them once, and say so when they cannot."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from tests.training.made import make_model
from training import analyses
from training.errors import TooManyQuestions
from training.models import Analysis

LABELS = ["card", "transfer"]


@pytest.fixture
def model(job, tmp_path):
    return make_model(job, tmp_path / "artifact", LABELS)


def test_groups_chosen_afterwards_are_compared_by_a_worker(
    model, alice, client_of, django_capture_on_commit_callbacks
):
    browser, path = client_of(alice), f"/models/{model.pk}/groups/"
    answer = browser.post(
        path, {"column": "label", "label": "transfer"}, headers={"hx-request": "true"}
    )
    assert "Comparing the groups of label" in answer.content.decode()
    assert 'hx-trigger="every 2s"' in answer.content.decode()
    analyses.answer_all()
    found = Analysis.objects.get()
    assert found.failure == ""
    assert found.result["fairness"][0]["column"] == "label"
    page = browser.get(path, headers={"hx-request": "true"}).content.decode()
    assert "Equalised odds" in page
    assert 'hx-trigger="every 2s"' not in page
    again = analyses.ask(model, alice, "groups", {"column": "label", "label": "transfer"})
    assert again == found


def test_a_column_or_label_that_is_not_there_is_answered_in_words(model, alice, api, token):
    path = f"/api/v1/models/{model.pk}/analyses"
    assert api(token).post(path, {"kind": "groups"}, format="json").status_code == 400
    body = {"kind": "groups", "column": "nowhere"}
    made = api(token).post(path, body, format="json")
    assert made.status_code == 202
    analyses.answer_all()
    (listed,) = api(token).get(path).json()["data"]
    assert "no column 'nowhere'" in listed["failure"]
    assert listed["result"] is None


def test_a_lost_worker_is_replaced_and_the_second_loss_is_final(model, alice, monkeypatch):
    found = analyses.ask(model, alice, "groups", {"column": "label"})
    Analysis.objects.update(started_at=now(), tries=1)
    analyses.answer_all()
    assert Analysis.objects.open().exists()  # Somebody may still be at it.
    Analysis.objects.update(started_at=now() - timedelta(hours=1), tries=analyses.MOST_TRIES)
    analyses.answer_all()
    found.refresh_from_db()
    assert found.failure == analyses.BROKEN


def test_one_team_cannot_crowd_the_workers(model, alice):
    for number in range(analyses.MOST_OPEN):
        analyses.ask(model, alice, "groups", {"column": str(number)})
    with pytest.raises(TooManyQuestions):
        analyses.ask(model, alice, "groups", {"column": "one more"})


def test_viewers_may_read_but_not_ask(model, vera, mallory, client_of):
    path = f"/models/{model.pk}/groups/"
    assert client_of(vera).get(path).status_code == 200
    assert client_of(vera).post(path, {"column": "label"}).status_code == 403
    assert client_of(mallory).get(path).status_code == 404


def test_a_row_and_the_models_page_lead_to_the_reasons_of_an_answer(model, alice, vera, client_of):
    model.manifest = {"inputs": {"kind": "text"}}
    model.save()
    rows = f"/models/{model.pk}/rows/?true=card&predicted=card"
    assert "Why?" in client_of(alice).get(rows).content.decode()
    assert "Why?" not in client_of(vera).get(rows).content.decode()
    asked = client_of(alice).post(f"/models/{model.pk}/explain/", {"input": "where is it"})
    assert asked["Location"] == f"/models/{model.pk}/explain/"
    page = client_of(alice).get(asked["Location"]).content.decode()
    assert "Working out why" in page
