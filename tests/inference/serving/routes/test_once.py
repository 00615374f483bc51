"""Inference under an Idempotency-Key: one effect, one bill, the same answer again."""

import asyncio
import gzip
import json

import pytest

from billing.models import UsageEvent
from tests.inference.serving.test_generation_routes import BODY, WHOLE, FakeWriter
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


def test_a_stream_frees_its_key(deployment, token, with_models):
    deployment.model.task = "text-generation"
    deployment.model.save()

    async def talk(client, app):
        writer = FakeWriter(WHOLE)
        models = app.services.model_cache

        async def get(*_):
            return type("Loaded", (), {"served": writer, "id": "m"})

        models.get = get
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
