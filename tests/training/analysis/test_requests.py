"""Questions about a model are rows; workers answer them once, and say so when they cannot."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.timezone import now

from tests.pictures import coloured, encoded
from tests.training.made import make_model
from training.analysis import requests
from training.errors import TooManyAnalyses
from training.models import Analysis, Evaluation, Status, TrainingJob

LABELS = ["card", "transfer"]


@pytest.fixture
def model(job, tmp_path):
    return make_model(job, tmp_path / "artifact", LABELS)


@pytest.mark.slow
def test_groups_chosen_afterwards_are_compared_by_a_worker(
    model, job, alice, client_of, django_capture_on_commit_callbacks
):
    done = {"status": Status.SUCCEEDED, "started_at": now(), "finished_at": now()}
    TrainingJob.objects.filter(pk=job.pk).update(model=model, **done)
    browser, path = client_of(alice), f"/models/{model.pk}/groups/"
    offered = browser.get(path).content.decode()
    assert '<option value="label"' in offered
    assert '<option value="text"' not in offered  # Each of its rows is a group of its own.
    answer = browser.post(
        path, {"column": "label", "label": "transfer"}, headers={"hx-request": "true"}
    )
    assert "Comparing the groups of label" in answer.content.decode()
    assert 'hx-trigger="every 2s"' in answer.content.decode()
    requests.run_pending_analyses()
    analysis = Analysis.objects.get()
    assert analysis.failure == ""
    assert analysis.result["fairness"][0]["column"] == "label"
    page = browser.get(path, headers={"hx-request": "true"}).content.decode()
    assert "Equalised odds" in page
    assert 'hx-trigger="every 2s"' not in page
    again = requests.request_analysis(
        model, alice, "groups", {"column": "label", "label": "transfer"}
    )
    assert again == analysis


def test_a_column_or_label_that_is_not_there_is_answered_in_words(model, alice, api, token):
    path = f"/api/v1/models/{model.pk}/analyses"
    assert api(token).post(path, {"kind": "groups"}, format="json").status_code == 400
    assert api(token).post(path, {"kind": "groups", "row": 1}, format="json").status_code == 400
    assert api(token).post(path, {"kind": "explain", "row": -1}, format="json").status_code == 400
    body = {"kind": "groups", "column": "nowhere"}
    made = api(token).post(path, body, format="json")
    assert made.status_code == 202
    requests.run_pending_analyses()
    (listed,) = api(token).get(path).json()["data"]
    assert "no column 'nowhere'" in listed["failure"]
    assert listed["result"] is None


def test_a_lost_worker_is_replaced_and_the_second_loss_is_final(model, alice, monkeypatch):
    analysis = requests.request_analysis(model, alice, "groups", {"column": "label"})
    Analysis.objects.update(started_at=now(), tries=1)
    requests.run_pending_analyses()
    assert Analysis.objects.open().exists()  # Somebody may still be at it.
    Analysis.objects.update(started_at=now() - timedelta(hours=1), tries=requests.MAX_TRIES)
    requests.run_pending_analyses()
    analysis.refresh_from_db()
    assert analysis.failure == requests.INTERNAL_ERROR_MESSAGE


def test_one_team_cannot_crowd_the_workers(model, alice):
    for number in range(requests.MAX_OPEN_PER_TEAM):
        requests.request_analysis(model, alice, "groups", {"column": str(number)})
    with pytest.raises(TooManyAnalyses):
        requests.request_analysis(model, alice, "groups", {"column": "one more"})


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
    answer = client_of(alice).post(f"/models/{model.pk}/explain/", {"input": "where is it"})
    assert answer["Location"] == f"/models/{model.pk}/explain/"
    page = client_of(alice).get(answer["Location"]).content.decode()
    assert "Working out why" in page


@pytest.fixture
def picture_model(model):
    model.manifest = {"inputs": {"kind": "image", "columns": ["image"]}}
    model.task = "image-classification"
    model.save()
    return model


def test_a_picture_of_ones_own_or_a_row_is_asked_about(
    picture_model, alice, client_of, monkeypatch
):
    asked = []

    def engine(analysis, folder):
        asked.append(analysis.question)
        answer = {"label": "card", "probability": 0.9}
        return {"result": {"answer": answer, "label": "card", "grid": [[1, -1], [0, 0.05]]}}

    monkeypatch.setattr(requests, "_run_engine", engine)
    browser, path = client_of(alice), f"/models/{picture_model.pk}/explain/"
    big = encoded(coloured("red", 0, side=900))
    browser.post(path, {"picture": SimpleUploadedFile("me.png", big)})
    browser.post(path, {"row": "1"})  # As pages count.
    requests.run_pending_analyses()
    assert len(asked[0]["picture"]) < 60_000
    assert asked[1] == {"row": 0}
    page = browser.get(path).content.decode()
    assert page.count('class="for"') == page.count('class="against"') == 2
    assert f"/pictures/0/?version={picture_model.dataset_version.number}" in page
    assert f"data:image/jpeg;base64,{asked[0]['picture'][:40]}" in page


def test_what_is_no_picture_is_refused_in_words(picture_model, alice, client_of):
    browser, path = client_of(alice), f"/models/{picture_model.pk}/explain/"
    for sent, said in [
        ({"picture": SimpleUploadedFile("x.png", b"GIF8 not")}, "cannot be looked at"),
        ({}, "Choose a picture"),
        ({"row": "0"}, "greater than or equal to 1"),
    ]:
        assert said in browser.post(path, sent, headers={"hx-request": "true"}).content.decode()
    assert not Analysis.objects.exists()


def test_the_report_and_a_cell_show_pictures_with_what_counted(picture_model, alice, client_of):
    report = picture_model.evaluations.get()
    report.report["examples"]["best"][0]["explanation"] = {
        "grid": [[1.0, -0.5]], "covers": [0.25, 0, 0.5, 1],
    }  # fmt: skip
    Evaluation.objects.create(model=picture_model, report=report.report)
    page = client_of(alice).get(f"/models/{picture_model.pk}/?tab=all").content.decode()
    row = report.report["examples"]["best"][0]["row"]
    assert f"/pictures/{row}/?version=" in page
    assert "left:25.0%;top:0%;width:50.0%" in page
    rows = client_of(alice).get(
        f"/models/{picture_model.pk}/rows/", {"true": "card", "predicted": "card"}
    )
    assert "/pictures/" in rows.content.decode()
    assert 'name="row"' in rows.content.decode()
