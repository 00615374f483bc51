"""What a token may do less than its scopes say, as the models process holds it."""

import asyncio
from datetime import timedelta

import pytest

from accounts import tokens
from accounts.models import ApiToken
from billing.metering.usage_events import UsageRecord, record_usage
from inference.gateway import internal_token
from tests.conftest import issue
from tests.inference.serving.test_application import in_thread

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BODY = {"model": "intents", "input": "card"}


def test_a_token_asks_only_the_models_it_names(team, alice, deployment, with_models):
    limited = issue(team, alice, allowed_models=["moods"])

    async def talk(client, app):
        answer = await client.post("/v1/classify", json=BODY)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "model_not_allowed"
        assert (await client.get("/v1/models")).json()["data"] == []  # Nor base encoders.
        assert (await client.get("/v1/models/intents")).status_code == 403
        assert (await client.delete("/v1/models/intents")).status_code == 403
        await in_thread(ApiToken.objects.update, allowed_models=["intents"])
        app.services.lookups._tokens.clear()
        assert (await client.post("/v1/classify", json=BODY)).status_code == 200
        assert len((await client.get("/v1/models")).json()["data"]) == 1

    with_models(talk, limited)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("named", "status"), [("all-MiniLM-L6-v2", 200), ("multilingual-e5-small", 403)]
)
def test_a_base_encoder_is_one_model_at_every_precision(named, status, team, alice, with_models):
    limited = issue(team, alice, allowed_models=[named])

    async def talk(client, app):
        for asked in ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2@int8"):
            answer = await client.post("/v1/embeddings", json={"model": asked, "input": "card"})
            assert answer.status_code == status, answer.text

    with_models(talk, limited)


@pytest.mark.slow
def test_what_an_edit_takes_away_ends_at_its_notice(team, alice, deployment, with_models):
    """And what it gives back works again."""
    token = issue(team, alice)

    def edit(**changes):
        unchanged = {"name": token.name, "scopes": token.scopes, "expires_at": None}
        limits = tokens.TokenLimits(**changes.pop("limits", {}))
        tokens.update(token, alice, **(unchanged | changes), limits=limits)

    async def status_after(client, **changes):
        await in_thread(edit, **changes)
        await asyncio.sleep(0.5)
        return (await client.post("/v1/classify", json=BODY)).status_code

    async def talk(client, app):
        await asyncio.sleep(0.2)  # Until the process listens.
        assert (await client.post("/v1/classify", json=BODY)).status_code == 200
        assert await status_after(client, scopes=["read"]) == 403
        assert await status_after(client) == 200
        assert await status_after(client, limits={"allowed_models": ["moods"]}) == 403
        assert await status_after(client, limits={"budget_micro": 0}) == 402
        assert await status_after(client) == 200

    with_models(talk, token)


def test_a_spent_token_is_told_so_and_the_team_goes_on(team, alice, deployment, with_models):
    limited, other = issue(team, alice, budget_micro=1), issue(team, alice)
    use = UsageRecord(
        team_id=team.pk, source=deployment.source, event_key="k", units=10**6, requests=1,
        token_prefix=limited.prefix,
    )  # fmt: skip

    async def talk(client, app):
        assert (await client.post("/v1/classify", json=BODY)).status_code == 200
        await in_thread(record_usage, [use])
        app.services.lookups._token_spending.clear()
        spent = await client.post("/v1/classify", json=BODY)
        assert (spent.status_code, spent.headers["x-should-retry"]) == (402, "false")
        assert "This API token has spent its budget" in spent.json()["error"]["message"]
        headers = {"authorization": f"Bearer {other.secret}"}
        assert (await client.post("/v1/classify", json=BODY, headers=headers)).status_code == 200

    with_models(talk, limited)


def test_a_token_has_a_pace_of_its_own_and_a_batch_none(team, alice, deployment, with_models):
    limited = issue(team, alice, requests_per_minute=2)

    async def talk(client, app):
        answers = [await client.post("/v1/classify", json=BODY) for _ in range(3)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
        assert int(answers[2].headers["retry-after"]) > 20
        text = internal_token.issue_token(team.pk, alice.pk, limited.pk)
        del client.headers["authorization"]
        for _ in range(4):
            batch = await client.post("/v1/classify", json=BODY, headers={"x-lathe-pass": text})
            assert batch.status_code == 200
        await in_thread(tokens.revoke, limited, alice)
        app.services.lookups._tokens_by_id.clear()
        ended = await client.post("/v1/classify", json=BODY, headers={"x-lathe-pass": text})
        assert ended.status_code == 401

    with_models(talk, limited)


def test_a_former_secret_works_until_its_overlap_is_over(team, alice, deployment, with_models):
    token = issue(team, alice)

    async def talk(client, app):
        secret = await in_thread(tokens.rotate, token, alice, timedelta(hours=1))
        both = [{"authorization": f"Bearer {one}"} for one in (token.secret, secret)]
        for headers in both:
            answer = await client.post("/v1/classify", json=BODY, headers=headers)
            assert answer.status_code == 200
        await in_thread(tokens.rotate, token, alice, timedelta(0))
        app.services.lookups._tokens.clear()
        for headers in both:
            answer = await client.post("/v1/classify", json=BODY, headers=headers)
            assert answer.status_code == 401

    with_models(talk, token)
