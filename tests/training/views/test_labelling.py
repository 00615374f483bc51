"""Rows to label in the order of the newest model that fits, asked in a worker, and what comes where
none does."""

import json
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils.timezone import now

from engine.events import Reporter
from engine.pipeline import run_job
from engine.spec import parse_spec
from engine.stop_signal import StopSignal
from projects import storage
from projects.importing import imports
from projects.importing.uploads import receive_upload
from tests.engine.conftest import labelled_rows
from training.analysis import requests
from training.models import Analysis, TrainedModel

pytestmark = pytest.mark.django_db
TEXTS = ["the apple banana", "hammer drill wrench", "old the a", "banana cherry my apple"] * 6


@pytest.fixture
def version(project, alice):
    lines = [f"{text},{n},{'fruit' if n < 2 else ''}" for n, text in enumerate(TEXTS)]
    content = "\n".join(["text,n,topic", *lines]).encode()
    received = receive_upload(project=project, filename="t.csv", chunks=[content], by=alice)
    imports.import_version(received.version.pk)
    received.version.refresh_from_db()
    return received.version


def make_classifier(version, folder, **facts):
    """A model row for this artifact folder, or one that nobody asks."""
    manifest = json.loads((folder / "manifest.json").read_text()) if folder else {}
    manifest |= {
        "inputs": {"kind": "text", "columns": ["text"]},
        "target": {"kind": "label", "column": "topic"},
    }
    project = version.dataset.project
    model = TrainedModel(
        team=project.team, project=project, dataset_version=version, name="Sorter",
        task="text-classification", labels=["fruit", "tool"], manifest=manifest,
    )  # fmt: skip
    for name, value in facts.items():
        setattr(model, name, value)
    model.artifact_key = f"artifacts/{model.pk}"
    if folder:
        storage.put_folder(model.artifact_key, folder)
    model.save()
    return model


@pytest.fixture
def artifact(models_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("LATHE_MODELS_DIR", str(models_folder))
    texts, labels = labelled_rows(300)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "learnt.parquet")
    spec = {
        "data": str(tmp_path / "learnt.parquet"), "text_columns": ["text"],
        "target_column": "label", "output": str(tmp_path / "artifact"),
        "work": str(tmp_path / "work"), "threads": 1,
        "hyperparameters": {"method": "probe", "contenders": False},
    }  # fmt: skip
    run_job(parse_spec(spec), Reporter(lambda line: None), StopSignal())
    return tmp_path / "artifact"


def ask(client, version, **facts):
    base = {"column": "topic", "texts": ["text"], "labels": {}, "skipped": []}
    address = f"/datasets/{version.dataset_id}/label/next/?version={version.number}"
    answer = client.post(address, json.dumps(base | facts), content_type="application/json")
    assert answer.status_code == 200
    return answer.json()


def answered(model, version, rows):
    """As a worker would leave it."""
    question = {"version": str(version.pk), "column": "topic"}
    moment = now()
    return Analysis.objects.create(
        team=model.team, model=model, kind="certainty", question=question,
        result={"rows": rows}, started_at=moment, finished_at=moment,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_asks_the_newest_model_and_its_least_sure_rows_come_first(
    version, alice, client_of, artifact, api, token
):
    labels = sorted(set(labelled_rows(50)[1]))
    model = make_classifier(version, artifact, labels=labels)
    client = client_of(alice)
    first = ask(client, version)
    assert (first["order"], first["is_asking"], first["model"]) == ("file", True, "Sorter")
    assert first["labels"] == labels
    requests.run_pending_analyses()
    analysis = Analysis.objects.get()
    assert analysis.failure == ""
    assert (analysis.model, analysis.team) == (model, version.dataset.project.team)
    ranked = [row for row, _, _ in analysis.result["rows"]]
    assert sorted(ranked) == list(range(2, 24))  # Two have a label already.
    batch = ask(client, version, skipped=ranked[:1], labels={str(ranked[1]): "fruit"})
    assert (batch["order"], batch["is_asking"], batch["remaining"]) == ("model", False, 21)
    assert [one["row"] for one in batch["rows"]] == ranked[2:12]
    assert {one["guess"] for one in batch["rows"]} <= set(labels)
    assert Analysis.objects.count() == 1
    address = f"/api/v1/models/{model.pk}/analyses"
    assert (
        api(token).get(address).json()["data"] == []
    )  # The product's own question, not a person's.


def test_labels_that_the_model_does_not_know_are_ordered_by_the_small_model(
    version, alice, client_of
):
    model = make_classifier(version, None)
    answered(model, version, [[row, "fruit", 0.1] for row in range(23, 3, -1)])
    client = client_of(alice)
    known = {"4": "fruit", "5": "tool"}
    batch = ask(client, version, labels=known)
    assert [one["row"] for one in batch["rows"]] == list(range(23, 13, -1))
    unknown = known | {"6": "stone", "7": "stone", "8": "fruit", "9": "tool"}
    batch = ask(client, version, labels=unknown)
    assert (batch["order"], batch["model"], batch["labels"]) == ("labels", "", [])


def test_rows_that_the_model_was_not_asked_about_follow_by_the_small_model(
    version, alice, client_of
):
    answered(make_classifier(version, None), version, [[20, "fruit", 0.1], [21, "tool", 0.2]])
    client = client_of(alice)
    assert [one["row"] for one in ask(client, version)["rows"]] == [20, 21]
    labels = {str(row): ["fruit", "tool"][row % 2] for row in (2, 3, 4, 5, 20, 21)}
    rest = ask(client, version, labels=labels)
    assert (rest["order"], len(rest["rows"])) == ("labels", 10)


@pytest.mark.parametrize(
    "facts",
    [
        {"task": "text-generation"},
        {"labels": ["other"]},
        {"archived_at": now()},
        {"manifest": {"inputs": {"kind": "text", "columns": ["body"]},
                      "target": {"kind": "label"}}},
        {"manifest": {"inputs": {"kind": "text", "columns": ["text", "topic"]},
                      "target": {"kind": "label"}}},
        {"manifest": {"inputs": {"kind": "text", "columns": ["text"]},
                      "target": {"kind": "labels"}}},
    ],
    ids=["task", "labels", "trash", "column", "label as input", "several labels"],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_not_asked(version, alice, client_of, facts):
    make_classifier(version, None, **facts)
    batch = ask(client_of(alice), version)
    assert (batch["order"], batch["model"], batch["is_asking"]) == ("file", "", False)
    assert not Analysis.objects.exists()


def test_before_any_label_the_name_of_the_column_has_to_be_that_of_the_target(
    version, alice, client_of
):
    make_classifier(version, None)
    assert ask(client_of(alice), version, column="mood")["model"] == ""
    assert ask(client_of(alice), version, column="topic")["model"] == "Sorter"


def test_other_teams_models_and_failures_are_left_alone(
    version, alice, client_of, other_team, monkeypatch
):
    stranger = make_classifier(version, None)
    TrainedModel.objects.filter(pk=stranger.pk).update(team=other_team)
    model = make_classifier(version, None, created_at=now() + timedelta(seconds=1))
    client = client_of(alice)
    assert ask(client, version)["is_asking"]
    monkeypatch.setattr(requests, "_run_engine", lambda *_: {"failure": "It broke."})
    requests.run_pending_analyses()
    assert Analysis.objects.get().model == model
    TrainedModel.objects.filter(pk=stranger.pk).delete()
    assert not ask(client, version)["is_asking"]
    assert Analysis.objects.count() == 1
    Analysis.objects.update(finished_at=now() - timedelta(hours=2))
    assert ask(client, version)["is_asking"]


def test_a_team_at_its_limit_still_labels(version, alice, client_of, monkeypatch):
    make_classifier(version, None)
    monkeypatch.setattr(requests, "MAX_OPEN_PER_TEAM", 0)
    assert ask(client_of(alice), version)["order"] == "file"


def test_rows_of_another_team_or_deleted_ones_are_not_read(version, alice, client_of, other_team):
    make_classifier(version, None)
    ask(client_of(alice), version)
    analysis = Analysis.objects.get()
    analysis.team = other_team
    assert requests._find_version(analysis, str(version.pk)) is None
