"""Inference under an Idempotency-Key: one effect, one bill, the same answer again."""

import asyncio
import gzip
import json

import pytest
from django.db import OperationalError

from billing.models import UsageEvent
from tests.inference.serving.test_generation_routes import BODY, WHOLE, FakeWriter
from web.idempotency import store
from web.models import IdempotentRequest

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
ASKED = {"model": "intents", "input": "my card"}
KEY = {"idempotency-key": "4c1f"}


async def ask(client, body=ASKED, path="/v1/classify", **headers):
    return await client.post(path, json=body, headers={**KEY, **headers})


def test_the_second_gets_the_answer_of_the_first_and_costs_nothing(deployment, token, with_models):
    async def talk(client, app):
        first, second = await ask(client), await ask(client)
        assert second.content == first.content
        assert second.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        assert second.headers["x-lathe-model"] == first.headers["x-lathe-model"]
        other = await client.post("/v1/classify", json=ASKED, headers={"idempotency-key": "other"})
        assert other.json()["id"] != first.json()["id"]

    with_models(talk, token)
    assert sum(event.requests for event in UsageEvent.objects.all()) == 2


def test_twins_at_the_same_time_are_one(deployment, token, with_models):
    async def talk(client, app):
        answers = await asyncio.gather(*(ask(client) for _ in range(5)))
        assert {answer.content for answer in answers} == {answers[0].content}

    with_models(talk, token)
    assert sum(event.requests for event in UsageEvent.objects.all()) == 1


def test_another_body_under_the_key_is_refused(deployment, token, with_models):
    async def talk(client, app):
        await ask(client)
        refused = await ask(client, {**ASKED, "input": "another"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            409,
            "idempotency_key_reused",
        )

    with_models(talk, token)


def test_what_was_refused_frees_its_key(deployment, token, with_models):
    async def talk(client, app):
        assert (await ask(client, {**ASKED, "model": "unknown"})).status_code == 404
        assert (await ask(client)).status_code == 200
        bad = await client.post("/v1/classify", json=ASKED, headers={"idempotency-key": "x" * 256})
        assert (bad.status_code, bad.json()["error"]["param"]) == (400, "Idempotency-Key")

    with_models(talk, token)


def test_a_packed_body_is_read_once(deployment, token, with_models):
    async def talk(client, app):
        packed = gzip.compress(json.dumps(ASKED).encode())
        headers = {**KEY, "content-encoding": "gzip", "content-type": "application/json"}
        for _ in range(2):
            answer = await client.post("/v1/classify", content=packed, headers=headers)
            assert answer.status_code == 200, answer.text

    with_models(talk, token)


def test_strangers_store_nothing_and_teams_share_no_keys(
    deployment, token, mallory_token, with_models
):
    async def talk(client, app):
        await ask(client)
        other = await ask(client, authorization=f"Bearer {mallory_token.secret}")
        assert other.status_code == 404  # Not the answer of the first.
        stranger = await ask(client, authorization="Bearer lathe_made_up")
        assert stranger.status_code == 401

    with_models(talk, token)
    assert IdempotentRequest.objects.count() == 1


@pytest.fixture
def writing(deployment):
    """Makes the endpoint one of a language model of three words."""
    deployment.model.task = "text-generation"
    deployment.model.save()

    def serve(app):
        writer = FakeWriter(WHOLE)

        async def get(*_):
            return type("Loaded", (), {"served": writer, "id": "m"})

        app.services.model_cache.get = get
        return writer

    return serve


def test_a_stream_claims_no_key(writing, token, with_models):
    async def talk(client, app):
        writer = writing(app)
        body = {**BODY, "model": "intents", "stream": True}
        for _ in range(2):
            answer = await ask(client, body, "/v1/chat/completions")
            assert answer.text.endswith("data: [DONE]\n\n")
        whole = [
            await ask(client, {**BODY, "model": "intents"}, "/v1/chat/completions")
            for _ in range(2)
        ]
        assert whole[0].content == whole[1].content
        assert writer.streamed == 9  # Two streams and one whole answer, of three chunks each.

    with_models(talk, token)


async def ask_and_break_off(app, token, body, writer):
    """Ask as a client whose connection breaks while the answer is being written."""
    sent = json.dumps(body).encode()
    parts = [{"type": "http.request", "body": sent, "more_body": False}]

    async def receive():
        if parts:
            return parts.pop()
        await has_begun()
        return {"type": "http.disconnect"}

    async def has_begun():
        while not writer.streamed:
            await asyncio.sleep(0.01)

    async def go_on():
        await has_begun()
        await asyncio.sleep(0.2)  # Whoever watches the client has noticed by then.
        writer.may_go_on.set()

    async def send(message):
        return None

    headers = {"authorization": f"Bearer {token.secret}", **KEY}
    scope = {
        "type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("models", 80), "scheme": "http", "root_path": "",
    }  # fmt: skip
    writer.may_go_on.clear()
    await asyncio.gather(app(scope, receive, send), go_on())


def test_an_answer_whose_client_lost_its_connection_is_kept_for_the_second_try(
    writing, token, with_models
):
    async def talk(client, app):
        writer = writing(app)
        body = {**BODY, "model": "intents"}
        await ask_and_break_off(app, token, body, writer)
        again = await ask(client, body, "/v1/chat/completions")
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["choices"][0]["message"]["content"] == "Hello"
        assert writer.streamed == len(WHOLE)

    with_models(talk, token)
    assert sum(event.requests for event in UsageEvent.objects.all()) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "intents", "prompt": "Hi"}),
        ("/v1/responses", {"model": "intents", "input": "Hi"}),
    ],
)
def test_other_addresses_keep_their_answers_too(writing, token, with_models, path, body):
    async def talk(client, app):
        writer = writing(app)
        first, second = await ask(client, body, path), await ask(client, body, path)
        assert first.status_code == 200, first.text
        assert second.content == first.content
        assert writer.streamed == len(WHOLE)

    with_models(talk, token)


def test_embeddings_keep_their_answers_too(token, with_models, team):
    async def talk(client, app):
        body = {"model": "all-MiniLM-L6-v2", "input": "my card"}
        first = await ask(client, body, "/v1/embeddings")
        second = await ask(client, body, "/v1/embeddings")
        assert first.status_code == 200, first.text
        assert second.content == first.content

    with_models(talk, token)


def test_without_a_database_the_key_is_refused_before_anything_is_charged(
    deployment, token, with_models, monkeypatch
):
    def away(*_, **__):
        raise OperationalError("the database is away")

    monkeypatch.setattr(store, "begin", away)

    async def talk(client, app):
        assert (await ask(client)).status_code == 503

    with_models(talk, token)
    assert not UsageEvent.objects.exists()


def test_an_answer_that_cannot_be_kept_is_still_given(deployment, token, with_models, monkeypatch):
    def away(*_):
        raise OperationalError("the database is away")

    monkeypatch.setattr(store, "finish", away)

    async def talk(client, app):
        assert (await ask(client)).status_code == 200

    with_models(talk, token)
    assert sum(event.requests for event in UsageEvent.objects.all()) == 1
