"""Lookups stay fresh by NOTIFY; when a notice is lost, by their own short life."""

import asyncio
import contextlib
import time

import pytest
from django.db import connection

from billing.budgets import budget as budgets
from billing.models import Budget
from inference.gateway.other_models import registered
from inference.models import Deployment
from inference.serving import lookups, principals
from tests.inference.serving.test_application import in_thread
from web import sse
from web.database import pool

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
BODY = {"model": "intents", "input": "card"}


async def wait_for_status(client, status):
    """Ask until this status is answered."""
    deadline = time.monotonic() + 30
    while (await client.post("/v1/classify", json=BODY)).status_code != status:
        assert time.monotonic() < deadline, f"never answered with {status}"
        await asyncio.sleep(0.02)


def test_a_revoked_token_stops_within_its_ttl_when_the_notice_is_lost(
    deployment, token, with_models, monkeypatch
):
    monkeypatch.setattr(lookups, "TOKEN_TTL_SECONDS", 0.3)

    def revoke():
        token.revoked_at = token.created_at
        token.save()  # Nobody is notified.

    async def talk(client, app):
        await wait_for_status(client, 200)
        await in_thread(revoke)
        await wait_for_status(client, 401)

    with_models(talk, token)


def test_a_lower_cap_counts_within_its_ttl_when_the_notice_is_lost(
    deployment, token, team, with_models, monkeypatch
):
    monkeypatch.setattr(lookups, "BUDGET_TTL_SECONDS", 0.3)
    budgets.get_budget(team)

    async def talk(client, app):
        await wait_for_status(client, 200)
        await in_thread(lambda: Budget.objects.filter(pk=team.pk).update(cap_micro=0))
        await wait_for_status(client, 402)

    with_models(talk, token)


def test_a_lookup_within_its_ttl_asks_the_database_once(deployment, token, with_models):
    async def talk(client, app):
        fetch, queries = app.services.lookups._fetch_rows, []

        async def count(query, *values):
            queries.append(query)
            return await fetch(query, *values)

        app.services.lookups._fetch_rows = count
        await asyncio.sleep(0.3)  # Until the process listens, which clears every cache.
        for _ in range(5):
            await client.get("/v1/models")
        of_other_apps = [models.sql for models in registered]
        assert queries == [principals.TOKEN_SQL, principals.DEPLOYMENTS_SQL, *of_other_apps]

    with_models(talk, token)


def test_after_a_lost_listen_connection_everything_is_read_anew(
    deployment, token, with_models, monkeypatch
):
    for name in ("TOKEN_TTL_SECONDS", "DEPLOYMENT_TTL_SECONDS", "BUDGET_TTL_SECONDS"):
        monkeypatch.setattr(lookups, name, 3600)
    monkeypatch.setattr(sse, "RECONNECT_SECONDS", 0.05)

    def retire_silently():
        Deployment.objects.update(retired_at=deployment.created_at)

    def break_listening():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN %%'"
            )
            assert cursor.fetchone()[0] >= 1

    async def talk(client, app):
        await asyncio.sleep(0.3)
        await wait_for_status(client, 200)
        await in_thread(retire_silently)
        await asyncio.sleep(lookups.NEGATIVE_TTL_SECONDS)
        assert (await client.post("/v1/classify", json=BODY)).status_code == 200
        await in_thread(break_listening)
        await wait_for_status(client, 404)

    with_models(talk, token)


@contextlib.asynccontextmanager
async def every_connection_taken(app):
    """As by requests with many different tokens."""
    shared = app.services.lookups._pool
    taken = [await shared.getconn() for _ in range(lookups.CONNECTIONS)]
    yield
    for one in taken:
        await shared.putconn(one)


def forget_everything(app):
    app.services.lookups._invalidate_all()


def test_a_request_waits_for_a_connection_rather_than_failing(deployment, token, with_models):
    async def talk(client, app):
        await wait_for_status(client, 200)
        async with every_connection_taken(app):
            forget_everything(app)
            request = asyncio.create_task(client.post("/v1/classify", json=BODY))
            await asyncio.sleep(1)
            assert not request.done()
        assert (await request).status_code == 200

    with_models(talk, token)


@pytest.mark.parametrize(("reachable", "status"), [(True, 429), (False, 503)])
def test_who_waits_in_vain_is_told_whether_the_database_is_away(
    deployment, token, with_models, monkeypatch, reachable, status
):
    monkeypatch.setattr(lookups, "MAX_WAIT_SECONDS", 0.5)
    monkeypatch.setattr(pool._probe, "_asked_at", float("-inf"))
    monkeypatch.setattr(pool._probe, "_ask", lambda: reachable)

    async def talk(client, app):
        await wait_for_status(client, 200)
        async with every_connection_taken(app):
            forget_everything(app)
            answer = await client.post("/v1/classify", json=BODY)
        assert answer.status_code == status
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == (
            "overloaded" if status == 429 else "service_unavailable"
        )
        assert (await client.post("/v1/classify", json=BODY)).status_code == 200

    with_models(talk, token)
