"""A whole table answered by an endpoint, from the page to the CSV, up to the models process."""

import csv
import io
import json

import httpx
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils.timezone import now

from inference import tasks
from inference.batches import work
from inference.batches.lines import STOPPED_AT
from inference.files import storing
from inference.gateway import internal_token
from inference.models import ApiFile, Batch, Deployment, TablePrediction
from inference.queries.tables import list_tables
from inference.table_predictions import running
from inference.table_predictions.results import _answer_cells
from projects.importing import imports
from projects.models import DatasetVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(deployment) -> Deployment:
    deployment.model.manifest = {"inputs": {"kind": "text", "columns": ["text"]}}
    deployment.model.save()
    return deployment


@pytest.fixture
def seen_inputs(monkeypatch):
    """The inputs of each request to a models process that answers from here."""
    seen = []

    def item(text):
        if not text:
            return {"error": {"message": "input[1] must be a text."}}
        label = "card" if "card" in text else "transfer"
        return {"label": label, "scores": [{"label": label, "score": 0.9}]}

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        seen.append(body["input"])
        if body["model"] == "gone":
            error = {"code": "model_not_found", "message": "There is no “gone”.", "param": "model"}
            return httpx.Response(404, json={"error": error})
        return httpx.Response(200, json={"data": [item(text) for text in body["input"]]})

    def open_client(timeout):
        return httpx.Client(base_url="http://models", transport=httpx.MockTransport(answer))

    monkeypatch.setattr(work, "open_client", open_client)
    monkeypatch.setattr(work, "enqueue", lambda *_: None)
    return seen


def ask(client, endpoint, **content):
    return client.post(reverse("inference:ask-table", args=[endpoint.pk]), content)


def answers(client, row) -> list[dict[str, str]]:
    response = client.get(reverse("inference:table-answers", args=[row.pk]))
    text = b"".join(response.content if not response.streaming else _gather(response)).decode()
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def _gather(response):
    from asgiref.sync import async_to_sync

    async def gather():
        return [part async for part in response.streaming_content]

    return async_to_sync(gather)()


def test_every_row_of_a_dataset_comes_back_with_its_answer(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs
):
    client = client_of(alice)
    page = ask(client, endpoint, dataset=dataset.pk)
    assert page.status_code == 302
    tasks.work_on_batches()
    row = TablePrediction.objects.get()
    assert row.batch.status == "completed"
    assert sorted(map(len, seen_inputs)) == [8, 64, 64, 64]
    rows = answers(client, row)
    assert len(rows) == dataset_version.rows
    assert [one["text"] for one in rows[:2]] == [
        "my card never arrived 0", "where is the card I ordered 0"]  # fmt: skip
    assert all(
        one["prediction"] == ("card" if "card" in one["text"] else "transfer")
        and one["score"] == "0.9"
        and not one["error"]
        for one in rows
    )
    shown = client.get(reverse("inference:deployment", args=[endpoint.pk])).content.decode()
    assert "200 of 200" in shown
    assert reverse("inference:table-answers", args=[row.pk]) in shown
    assert 'hx-trigger="every 3s"' not in shown  # Nothing is under way.


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_new_file_is_imported_first_and_a_wrong_row_fails_alone(
    client_of, alice, endpoint, seen_inputs
):
    client = client_of(alice)
    file = SimpleUploadedFile(
        "new.csv", b"id;text;prediction\n1;=my card;x\n2;;y\n3;a transfer;z\n"
    )
    assert ask(client, endpoint, file=file).status_code == 302
    running.prepare_due()
    row = TablePrediction.objects.get()
    assert row.batch is None
    assert row.next_at > now()
    page = client.get(reverse("inference:tables", args=[endpoint.pk])).content.decode()
    assert client.get(reverse("inference:table-answers", args=[row.pk])).status_code == 410
    assert "Importing" in page
    assert "every 3s" in page
    imports.import_next()
    TablePrediction.objects.update(next_at=now())
    tasks.work_on_batches()
    row.refresh_from_db()
    rows = answers(client, row)
    assert [(one["text"], one["model prediction"]) for one in rows] == [
        ("'=my card", "card"), ("", ""), ("a transfer", "transfer")]  # fmt: skip
    assert [one["prediction"] for one in rows] == ["x", "y", "z"]
    assert rows[1]["error"] == "This row has no text."
    assert seen_inputs == [["=my card", None, "a transfer"]]


def test_a_table_without_the_models_column_is_refused_by_name(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs
):
    endpoint.model.manifest = {"inputs": {"kind": "text", "columns": ["subject", "text"]}}
    endpoint.model.save()
    page = ask(client_of(alice), endpoint, dataset=dataset.pk)
    assert page.status_code == 400
    assert "lacks: “subject”" in page.content.decode()
    assert not TablePrediction.objects.exists()
    # Nor is one whose import ends without it.
    DatasetVersion.objects.update(status="importing", finished_at=None)
    assert ask(client_of(alice), endpoint, dataset=dataset.pk).status_code == 302
    DatasetVersion.objects.update(status="ready", finished_at=now())
    running.prepare_due()
    row = TablePrediction.objects.get()
    assert (row.batch, row.next_at) == (None, None)
    assert "subject" in row.problem


def test_neither_or_both_choices_are_asked_again(client_of, alice, endpoint, dataset):
    file = SimpleUploadedFile("a.csv", b"text\nhello\n")
    for content in ({}, {"file": file, "dataset": dataset.pk}):
        page = ask(client_of(alice), endpoint, **content)
        assert "Choose a file or a dataset." in page.content.decode()
    assert not TablePrediction.objects.exists()


def test_refused_requests_say_why_in_each_of_their_rows(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs
):
    ask(client_of(alice), endpoint, dataset=dataset.pk)
    Deployment.objects.update(name="gone")
    tasks.work_on_batches()
    rows = answers(client_of(alice), TablePrediction.objects.get())
    assert {one["error"] for one in rows} == {"There is no “gone”."}
    assert len(rows) == dataset_version.rows


def test_what_was_cancelled_says_which_rows_were_not_asked(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs
):
    ask(client_of(alice), endpoint, dataset=dataset.pk)
    running.prepare_due()
    row = TablePrediction.objects.get()
    done = client_of(alice).post(reverse("inference:cancel-table", args=[row.pk]))
    assert done.status_code == 302
    work.work_on_next()
    assert Batch.objects.get().status == "cancelled"
    rows = answers(client_of(alice), TablePrediction.objects.get())
    assert {one["error"] for one in rows} == {"This row was not asked."}
    assert not seen_inputs


def test_a_worker_that_was_too_slow_makes_no_second_batch_and_leaves_no_file(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs, monkeypatch
):
    ask(client_of(alice), endpoint, dataset=dataset.pk)
    write = running._write_requests

    def write_slowly(row):
        TablePrediction.objects.filter(pk=row.pk).update(attempts=row.attempts + 1)
        return write(row)

    monkeypatch.setattr(running, "_write_requests", write_slowly)
    running.prepare_due()
    assert not Batch.objects.exists()
    assert not ApiFile.objects.exists()


def test_viewers_and_strangers_ask_nothing(
    client_of, vera, mallory, endpoint, dataset, dataset_version
):
    assert ask(client_of(vera), endpoint, dataset=dataset.pk).status_code == 403
    assert ask(client_of(mallory), endpoint, dataset=dataset.pk).status_code == 404
    row = TablePrediction.objects.create(
        team=endpoint.team, deployment=endpoint, dataset_version=dataset_version
    )
    for name in ("inference:table-answers", "inference:cancel-table"):
        client = client_of(mallory)
        seen_inputs = client.get if name.endswith("answers") else client.post
        assert seen_inputs(reverse(name, args=[row.pk])).status_code == 404


@pytest.mark.parametrize(
    ("item", "cells"),
    [
        ({"value": 2.5}, (2.5, None, "")),
        ({"labels": [], "scores": [{"label": "a", "score": 0.1}]}, ("", None, "")),
        (
            {"labels": ["b", "a"], "scores": [
                {"label": "b", "score": 0.9}, {"label": "a", "score": 0.7}]},
            ("b, a", 0.7, ""),
        ),
    ],
)  # fmt: skip
def test_numbers_and_several_labels_have_their_own_cells(item, cells):
    assert _answer_cells(item) == cells


def test_a_table_that_cannot_be_read_holds_up_no_other(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs, monkeypatch
):
    for _ in range(2):
        ask(client_of(alice), endpoint, dataset=dataset.pk)
    broken = TablePrediction.objects.order_by("next_at").first()
    write = running._write_requests

    def break_one(row):
        if row.pk == broken.pk:
            raise OSError("the disk is gone")
        return write(row)

    monkeypatch.setattr(running, "_write_requests", break_one)
    tasks.work_on_batches()
    broken.refresh_from_db()
    assert (broken.batch, broken.next_at) == (None, None)
    assert "could not be read" in broken.problem
    assert Batch.objects.get().status == "completed"


def test_a_person_who_left_the_team_has_no_further_row_asked(
    client_of, bob, endpoint, dataset, dataset_version, seen_inputs
):
    ask(client_of(bob), endpoint, dataset=dataset.pk)
    running.prepare_due()
    bob.memberships.all().delete()
    work.work_on_next()
    batch = Batch.objects.get()
    assert (batch.status, seen_inputs) == ("cancelled", [])
    assert batch.problems[0]["message"] == work.RIGHTS_ENDED


@pytest.mark.parametrize("change", [{"is_active": False}, {"role": "viewer"}])
def test_nor_one_who_was_deactivated_or_demoted(
    client_of, bob, endpoint, dataset, dataset_version, seen_inputs, change
):
    ask(client_of(bob), endpoint, dataset=dataset.pk)
    running.prepare_due()
    if "role" in change:
        bob.memberships.update(**change)
    else:
        type(bob).objects.filter(pk=bob.pk).update(**change)
    work.work_on_next()
    assert (Batch.objects.get().status, seen_inputs) == ("cancelled", [])


def test_a_line_that_is_asked_again_comes_under_the_same_key(
    client_of, alice, endpoint, dataset, dataset_version, monkeypatch
):
    ask(client_of(alice), endpoint, dataset=dataset.pk)
    running.prepare_due()
    keys = []

    def lose(_client, _url, *, json, headers):
        keys.append(internal_token.verify_token(headers[internal_token.HEADER]).usage_key)
        raise httpx.ReadError("the worker was killed, or the answer lost")

    monkeypatch.setattr(work.httpx.Client, "post", lose)
    for _ in range(2):
        Batch.objects.update(next_at=now())
        work.work_on_next()
    batch = Batch.objects.get()
    lines = [f"batch:{batch.pk}:{line}" for line in range(1, 5)]
    assert sorted(keys) == sorted(lines * 2)


def test_deleted_answers_are_said_to_be_gone(
    client_of, alice, endpoint, dataset, dataset_version, seen_inputs
):
    ask(client_of(alice), endpoint, dataset=dataset.pk)
    tasks.work_on_batches()
    row = TablePrediction.objects.get()
    assert row.batch.output_file.expires_at == row.batch.input_file.expires_at > now()
    ApiFile.objects.update(expires_at=now())
    storing.delete_expired()
    client = client_of(alice)
    gone = client.get(reverse("inference:table-answers", args=[row.pk]))
    assert gone.status_code == 410
    page = client.get(reverse("inference:deployment", args=[endpoint.pk])).content.decode()
    assert reverse("inference:table-answers", args=[row.pk]) not in page


@pytest.mark.parametrize(("line", "first"), [(1, "1"), (3, "129")])
def test_where_it_stopped_is_told_in_rows(endpoint, dataset_version, line, first):
    file = ApiFile.objects.create(
        team=endpoint.team, purpose="batch", filename="t.jsonl", bytes=1, storage_key="t"
    )
    message = STOPPED_AT.format(line=line) + "The budget is spent."
    batch = Batch.objects.create(
        team=endpoint.team, endpoint="/v1/classify", completion_window="24h", input_file=file,
        expires_at=now(), status="completed", problems=[{"line": line, "message": message}],
    )  # fmt: skip
    TablePrediction.objects.create(
        team=endpoint.team, deployment=endpoint, dataset_version=dataset_version, batch=batch
    )
    (shown,) = list_tables(endpoint)
    assert shown.problem == f"Rows from {first} on were refused: The budget is spent."
