"""Smaller forms of a model through the product: launched, made by a trainer, refused, billed."""

import re

import pytest

from projects import storage
from tests.training.made import make_model
from training.jobs.exports import ExportRequest, launch_export
from training.models import Evaluation, Status, TrainedModel, TrainingJob


@pytest.fixture
def model(job: TrainingJob, tmp_path) -> TrainedModel:
    made = make_model(job, tmp_path / "artifact", ["card", "transfer"])
    job.start()
    job.succeed(made)
    return made


@pytest.mark.django_db
def test_an_export_is_a_job_like_any_other_linked_to_its_model(api, token, model):
    url = f"/api/v1/models/{model.pk}/exports"
    answer = api(token).post(url, {"format": "pruned", "keep": 0.25}, format="json")
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert (made["status"], made["source_model"]) == ("queued", str(model.pk))
    assert made["export"]["keep"] == 0.25
    assert made["estimate"]["cost_high_micro"] > 0
    listed = api(token).get(url).json()["data"]
    assert [one["id"] for one in listed] == [made["id"]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"format": "tiny"}, "no form 'tiny'"),
        ({"format": "pruned", "keep": 5}, "keep:"),
        ({"format": "pruned", "size": 5}, "Unknown field 'size'"),
        ({"format": "pruned", "keep": 1.0}, "removes nothing"),
        ({"format": "safetensors-bf16"}, "no form 'safetensors-bf16'"),
        ({}, "required"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(api, token, model, body, words):
    answer = api(token).post(f"/api/v1/models/{model.pk}/exports", body, format="json")
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("task", "offered", "options"),
    [
        ("image-classification", {"onnx", "onnx-int8"}, {"largest_loss"}),
        ("text-generation", {"safetensors", "safetensors-bf16"}, {"largest_loss"}),
        ("tabular-regression", {"distilled"}, {"epochs", "largest_loss"}),
    ],
)
def test_a_task_offers_the_forms_it_has_and_refuses_the_rest(
    api, token, model, client_of, alice, task, offered, options
):
    TrainedModel.objects.filter(pk=model.pk).update(task=task)
    page = client_of(alice).get(f"/models/{model.pk}/exports/").content.decode()
    matches = set(re.findall(r'<option value="([a-z0-9-]+)"', page))
    assert offered <= matches
    assert not matches & ({"onnx", "onnx-int8", "pruned", "distilled", "safetensors"} - offered)
    assert ('name="keep_heads"' in page) == ("keep_heads" in options)
    url = f"/api/v1/models/{model.pk}/exports"
    answer = api(token).post(url, {"format": "pruned"}, format="json")
    assert answer.status_code == 400
    assert "no form 'pruned'" in answer.json()["error"]["message"]
    sent = {"format": min(offered), "layers": 2}
    assert "no 'layers'" in api(token).post(url, sent, format="json").json()["error"]["message"]


@pytest.mark.django_db
def test_only_the_team_exports_and_viewers_only_look(
    api, mallory_token, model, vera, client_of, mallory
):
    body = {"format": "onnx"}
    url = f"/api/v1/models/{model.pk}/exports"
    assert api(mallory_token).post(url, body, format="json").status_code == 404
    page = f"/models/{model.pk}/exports/"
    assert client_of(mallory).get(page).status_code == 404
    assert client_of(vera).post(page, body).status_code == 403
    assert "Make another form" not in client_of(vera).get(page).content.decode()


@pytest.mark.django_db
def test_the_model_page_leads_to_the_job_that_makes_a_form(client_of, alice, model):
    client, url = client_of(alice), f"/models/{model.pk}/exports/"
    assert url in client.get(f"/models/{model.pk}/?tab=all").content.decode()
    assert "Make another form" in client.get(url).content.decode()
    fields = {"format": "distilled", "keep": "0.5", "layers": "1", "epochs": "2"}
    fields |= {"largest_loss": "0.02", "compute": "cpu"}
    bad = client.post(url, fields | {"keep": "7"})
    assert bad.status_code == 400
    answer = client.post(url, fields)
    job = TrainingJob.objects.get(source_model=model)
    assert answer.headers["Location"] == f"/jobs/{job.pk}/"
    assert model.name in client.get(f"/jobs/{job.pk}/").content.decode()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_trainer_makes_one_form_refuses_another_and_bills_both(job, trainer, alice, client_of):
    trainer().finish()
    model = TrainingJob.objects.get(pk=job.pk).model
    stored = storage.exists(f"{model.artifact_key}/manifest.json")
    before = TrainedModel.objects.filter(pk=model.pk).values().get()
    requests = [
        ExportRequest(format="pruned", options={"keep": 0.5, "largest_loss": 0.5}),
        ExportRequest(format="pruned", options={"keep": 0.1, "largest_loss": 0.0, "epochs": 1}),
    ]
    launched = launch_export(model, requests[0], alice, alice)
    refused = launch_export(model, requests[1], alice, alice)
    trainer().finish()
    launched, refused = (TrainingJob.objects.get(pk=one.pk) for one in (launched, refused))
    assert launched.status == Status.SUCCEEDED, launched.failure_sentence
    card = Evaluation.objects.get(model=launched.model).report["card"]
    assert card["made"]["parameters"] < card["source"]["parameters"]
    assert card["made"]["bytes"] < card["source"]["bytes"]
    page = client_of(alice).get(f"/models/{launched.model_id}/?tab=all").content.decode()
    assert "Beside the original" in page
    assert card["sentence"] in client_of(alice).get(f"/models/{model.pk}/exports/").content.decode()
    assert (refused.status, refused.failure_code) == (Status.FAILED, "export_refused")
    assert "answers worse" in refused.failure_sentence
    assert refused.model is None
    assert TrainedModel.objects.filter(pk=model.pk).values().get() == before
    assert storage.exists(f"{model.artifact_key}/manifest.json") == stored
    for one in (launched, refused):
        bill_is_exact(one)


def bill_is_exact(job: TrainingJob) -> None:
    """What the ledger says is what its runs used, and no run is open."""
    from billing.metering.cost_summary import load_cost_summary
    from billing.models import LedgerEntry, MeteredRun
    from billing.money import amount_micro

    runs = MeteredRun.objects.filter(source=job.source)
    billed = load_cost_summary(job.source)
    assert runs.count() == 1
    assert not runs.filter(ended_at=None).exists()
    assert billed.net_micro == sum(amount_micro(run.billed_ms, 20_000) for run in runs) > 0
    assert LedgerEntry.objects.filter(about=job.source).total_micro() == billed.net_micro
