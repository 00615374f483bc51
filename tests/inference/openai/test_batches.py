"""Batches through the official client, up to the requests to the models process."""

import json

import httpx
import openai
import pytest
from django.utils.timezone import now

from inference.batches import work
from inference.gateway import internal_token
from inference.models import Batch, BatchAnswer
from tests.inference.openai import shapes
from tests.inference.openai.conftest import jsonl

pytestmark = pytest.mark.django_db
ENDPOINT = "/v1/embeddings"


def line(number, **changes):
    body = {"model": "encoder", "input": f"text {number}"}
    whole = {"custom_id": f"q{number}", "method": "POST", "url": ENDPOINT, "body": body}
    return whole | changes


@pytest.fixture
def begin(client):
    def with_lines(lines):
        file = client.files.create(file=jsonl(lines, "b.jsonl"), purpose="batch")
        return client.batches.create(
            input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h",
            metadata={"night": "one"},
        )  # fmt: skip

    return with_lines


class Asked(list):
    """Inputs in their order, and the passes that came with them."""

    def __init__(self):
        super().__init__()
        self.passes = []


@pytest.fixture
def models(monkeypatch):
    """A models process that answers from here, and what it was asked."""
    models_process = Asked()

    def answer(request: httpx.Request) -> httpx.Response:
        models_process.passes.append(request.headers[internal_token.HEADER])
        body = json.loads(request.content)
        models_process.append(body["input"])
        if body["model"] == "away":
            return httpx.Response(503, json={})
        if body["model"] == "spent":
            error = {"code": "insufficient_quota", "message": "Spent.", "param": None}
            return httpx.Response(402, json={"error": error})
        status = 404 if body["model"] == "nobody" else 200
        return httpx.Response(status, json={"echo": body["input"]}, headers={"x-request-id": "r"})

    def open_client(timeout):
        return httpx.Client(base_url="http://models", transport=httpx.MockTransport(answer))

    monkeypatch.setattr(work, "open_client", open_client)
    monkeypatch.setattr(work, "enqueue", lambda *_: None)
    return models_process


def test_a_batch_answers_each_line_once_in_order(client, begin, models):
    bad = line(2, body={"model": "nobody", "input": "text 2"})
    batch = begin([line(0), line(1), bad, line(3)])
    assert (batch.status, batch.metadata) == ("validating", {"night": "one"})
    work.work_on_next()
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert sorted(models) == [f"text {number}" for number in range(4)]
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (4, 3, 1)
    rows = [json.loads(row) for row in client.files.content(done.output_file_id).text.splitlines()]
    assert [(row["custom_id"], row["response"]["body"]["echo"]) for row in rows] == [
        ("q0", "text 0"), ("q1", "text 1"), ("q3", "text 3"),
    ]  # fmt: skip
    (refused,) = client.files.content(done.error_file_id).text.splitlines()
    assert json.loads(refused)["response"]["status_code"] == 404
    assert not BatchAnswer.objects.exists()
    assert [one.id for one in client.batches.list()] == [batch.id]


def test_a_worker_that_takes_over_asks_only_what_is_left(client, begin, models):
    batch = begin([line(number) for number in range(3)])
    row = Batch.objects.get()
    assert work._validate(row)
    BatchAnswer.objects.create(batch=row, line=2, is_error=False, content='{"custom_id": "q1"}')
    work.work_on_next()
    assert sorted(models) == ["text 0", "text 2"]
    done = client.batches.retrieve(batch.id)
    assert done.request_counts.completed == 3


def test_a_models_process_that_is_away_is_asked_again_later(client, begin, models):
    batch = begin([line(0, body={"model": "away", "input": "x"})])
    work.work_on_next()
    assert client.batches.retrieve(batch.id).status == "in_progress"
    assert Batch.objects.get().next_at > now()
    work.work_on_next()  # Not due yet.
    assert len(models) == 1


def test_a_spent_budget_refuses_the_lines_that_are_left_and_says_so(client, begin, models):
    spent = {"model": "spent", "input": "text 3"}
    batch = begin([*map(line, range(3)), line(3, body=spent), *map(line, range(4, 700))])
    work.work_on_next()
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert len(models) < 20  # The rest was not even asked.
    counts = done.request_counts
    assert (counts.total, counts.completed + counts.failed) == (700, 700)
    assert counts.failed > 680
    (problem,) = done.errors.data
    assert (problem.code, problem.line) == ("insufficient_quota", 4)
    refused = client.files.content(done.error_file_id).text.splitlines()
    last = json.loads(refused[-1])
    assert (last["custom_id"], last["response"]["status_code"]) == ("q699", 402)


def test_a_batch_asks_as_the_token_that_began_it(begin, models, token):
    begin([line(0)])
    assert Batch.objects.get().token == token
    work.work_on_next()
    (sent,) = models.passes
    assert internal_token.verify_token(sent).api_token_id == token.pk


@pytest.mark.parametrize("away", [{1}, {3}, {2, 5}, {8}])
def test_neighbours_of_a_line_that_must_wait_are_asked_and_metered_once(
    client, begin, models, away
):
    waiting = {"model": "away"}
    begin(
        [
            line(n, body={"input": f"text {n}"} | (waiting if n in away else {"model": "encoder"}))
            for n in range(1, 9)
        ]
    )
    for _ in range(4):
        Batch.objects.update(next_at=now())
        work.work_on_next()
    asked = [models.count(f"text {n}") for n in range(1, 9) if n not in away]
    assert max(asked) == 1
    assert BatchAnswer.objects.count() == sum(asked)


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        ({"custom_id": 5}, "missing_required_parameter", "custom_id"),
        ({"custom_id": "q0"}, "duplicate_custom_id", "custom_id"),
        ({"method": "GET"}, "invalid_method", "method"),
        ({"url": "/v1/completions"}, "mismatched_endpoint", "url"),
        ({"body": None}, "missing_required_parameter", "body"),
        ({"body": {"input": "x"}}, "missing_required_parameter", "body.model"),
        ({"body": {"model": "m", "stream": True}}, "invalid_parameter", "body.stream"),
    ],
)
def test_a_line_that_is_no_request_ends_the_batch_before_anything_is_asked(
    client, begin, models, bad, code, param
):
    batch = begin([line(0), line(1, **bad)])
    work.work_on_next()
    failed = client.batches.retrieve(batch.id)
    assert failed.status == "failed"
    (problem,) = failed.errors.data
    assert (problem.code, problem.line, problem.param) == (code, 2, param)
    assert models == []


def test_a_cancelled_batch_keeps_what_was_answered(client, stranger, begin, models):
    batch = begin([line(0), line(1)])
    row = Batch.objects.get()
    work._validate(row)
    BatchAnswer.objects.create(batch=row, line=1, is_error=False, content='{"custom_id": "q0"}')
    with pytest.raises(openai.NotFoundError):
        stranger.batches.cancel(batch.id)
    assert client.batches.cancel(batch.id).status == "cancelling"
    work.work_on_next()
    done = client.batches.retrieve(batch.id)
    assert (done.status, models) == ("cancelled", [])
    assert client.files.content(done.output_file_id).text == '{"custom_id": "q0"}\n'
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_what_a_batch_must_say(client):
    file = client.files.create(file=jsonl([line(0)], "b.jsonl"), purpose="batch")
    for change, param in (
        ({"endpoint": "/v1/responses"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"input_file_id": "file-x"}, "input_file_id"),
    ):
        body = {"input_file_id": file.id, "endpoint": ENDPOINT, "completion_window": "24h"}
        with pytest.raises(openai.APIStatusError) as refused:
            client.post("/batches", body=body | change, cast_to=object)
        shapes.require_shape(refused.value.response.json(), shapes.ERROR_RESPONSE)
        assert refused.value.param == param
