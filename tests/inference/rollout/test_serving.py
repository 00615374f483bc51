"""Models on trial under a name: a canary's share, a shadow's comparison, and moves under load."""

import asyncio
from collections import Counter

import pytest

from inference import deployments
from inference.models import RequestLog
from inference.queries.rollout import load_rollout
from inference.rollout import trials
from inference.serving.answer_cache import AnswerCache, CachedRow
from tests.inference.serving.test_application import in_thread

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BODY = {"model": "intents", "input": "card"}


@pytest.fixture
def other(make_model):
    """Says "transfer" where the deployed model says "card"."""
    return make_model("Other", card="transfer", transfer="card", money="transfer")


async def ask(client, times=1, text="card"):
    labels, models = Counter(), Counter()
    for _ in range(times):
        answer = await client.post("/v1/classify", json=BODY | {"input": text})
        assert answer.status_code == 200, answer.text
        labels[answer.json()["data"][0]["label"]] += 1
        models[answer.headers["x-lathe-model"]] += 1
    return labels, models


def test_a_canary_answers_its_share_and_is_measured(deployment, other, alice, token, with_models):
    trials.start_canary(deployment, other, 30, alice)

    async def talk(client, app):
        labels, models = await ask(client, 200)
        assert 30 <= labels["transfer"] <= 90
        assert models[str(other.pk)] == labels["transfer"]
        await in_thread(trials.end_canary, deployment, alice)
        app.services.lookups._invalidate_all()
        assert (await ask(client, 10))[0] == {"card": 10}

    with_models(talk, token)
    rows = RequestLog.objects.filter(model_key=other.pk).count()
    assert 0 < rows < RequestLog.objects.count()
    trials.start_canary(deployment, other, 30, alice)
    assert load_rollout(deployment).canary.requests == rows


def test_a_shadow_is_compared_and_costs_nothing(deployment, other, alice, token, with_models, team):
    trials.start_shadow(deployment, other, alice)

    async def talk(client, app):
        assert (await ask(client, 3))[0] == {"card": 3}
        await ask(client, 2, "money")  # Both say the same.
        await app.services.shadows.finish()
        assert app.services.usage_counter.unflushed_tokens == 5  # The deployed model's alone.

    with_models(talk, token)
    shown = load_rollout(deployment)
    assert (shown.shadow_compared, shown.shadow_agreed) == (5, 2)
    assert shown.shadow.p50_ms is not None
    assert [one.role for one in shown.rows] == ["deployed", "shadow"]


@pytest.mark.slow
@pytest.mark.usefixtures("full_speed")
def test_a_move_and_its_rollback_drop_no_request(deployment, other, alice, token, with_models):
    async def talk(client, app):
        async def ask_all_the_time():
            seen = Counter()
            while not is_over.is_set():
                seen += (await ask(client))[0]
            return seen

        is_over = asyncio.Event()
        callers = [asyncio.create_task(ask_all_the_time()) for _ in range(4)]
        await asyncio.sleep(0.3)
        await in_thread(deployments.move, deployment, other, alice)
        await asyncio.sleep(0.5)
        assert (await ask(client, 3))[0] == {"transfer": 3}
        await in_thread(trials.roll_back, deployment, alice)
        await asyncio.sleep(0.5)
        assert (await ask(client, 3))[0] == {"card": 3}
        is_over.set()
        seen = sum(await asyncio.gather(*callers), Counter())
        assert min(seen["card"], seen["transfer"]) > 0

    with_models(talk, token)


def test_a_text_that_was_asked_before_is_not_computed_again_and_costs_the_same(
    deployment, token, with_models
):
    async def talk(client, app):
        async def answer(*texts, **options):
            sent = {"model": "intents", "inputs": list(texts), "parameters": options}
            return (await client.post("/v1/classify", json=sent)).json()

        first = await answer("card", "money", "card")
        rows, tokens = app.services.batcher.rows, app.services.usage_counter.unflushed_tokens
        assert rows == 2  # The same text twice in one request is one row.
        assert await answer("card", "money", "card") == first
        assert app.services.batcher.rows == rows
        assert app.services.usage_counter.unflushed_tokens == 2 * tokens
        raw = await answer("card", function_to_apply="none")  # Another form of the same outputs.
        assert raw[0][0]["score"] == 4.0
        assert app.services.batcher.rows == rows
        await answer("transfer", "card")
        assert app.services.batcher.rows == rows + 1

    with_models(talk, token)


def test_the_cache_keeps_no_text_and_forgets_the_oldest():
    cache = AnswerCache(2)
    keys = [cache.key("m", text) for text in ("a", "b", "c")]
    assert cache.key("n", "a") != keys[0]
    assert AnswerCache(2).key("m", "a") != keys[0]
    for key in keys[:2]:
        cache.put(key, CachedRow(None, 1))
    assert cache.get(keys[0]) is not None
    cache.put(keys[2], CachedRow(None, 1))
    assert (cache.get(keys[1]), len(cache)) == (None, 2)
