"""Lookups stay fresh by NOTIFY; when a notice is lost, by their own short life."""

import asyncio
import time

import pytest
from django.db import connection

from billing.budgets import budget as budgets
from billing.models import Budget
from inference.models import Deployment
from inference.serving import lookups, principals
from tests.inference.serving.test_application import in_thread
from web import sse

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
        assert queries == [principals.TOKEN_SQL, principals.DEPLOYMENTS_SQL]

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
