"""What the log keeps: all, one in so many or nothing, for some days; owners and admins choose."""

import asyncio
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import AuditEntry, Membership
from inference.models import RequestLog
from inference.requests import retention
from inference.serving.principals import ServedDeployment
from inference.serving.usage_counter import MAX_LOGS_PER_FLUSH, UsageCounter
from tests.inference.requests.test_pages import log
from tests.inference.serving.test_application import in_thread


def save(client, deployment, **sent):
    return client.post(reverse("inference:requests-retention", args=[deployment.pk]), sent)


def test_old_requests_are_deleted_by_each_endpoints_own_days(deployment):
    log(deployment, "new")
    log(deployment, "old", at=now() - timedelta(days=31))
    retention.delete_old()
    assert RequestLog.objects.get().pk == "new"
    log(deployment, "eight", at=now() - timedelta(days=8))
    type(deployment).objects.update(log_days=7)
    retention.delete_old()
    assert RequestLog.objects.get().pk == "new"
    type(deployment).objects.update(log_one_in=0)
    retention.delete_old()
    assert not RequestLog.objects.exists()


def test_a_busy_deployment_keeps_its_newest_requests_only(deployment, monkeypatch):
    monkeypatch.setattr(retention, "MAX_ROWS_PER_DEPLOYMENT", 2)
    for minutes in range(4):
        log(deployment, f"r{minutes}", at=now() - timedelta(minutes=minutes))
    retention.delete_old()
    assert set(RequestLog.objects.values_list("pk", flat=True)) == {"r0", "r1"}


def test_owners_and_admins_choose_and_the_audit_log_says_who(
    deployment, alice, bob, vera, mallory, client_of
):
    log(deployment, "a")
    for person, status in ((mallory, 404), (vera, 403), (bob, 403)):
        assert save(client_of(person), deployment, keep="none", days=1).status_code == status
    client = client_of(alice)
    assert save(client, deployment, keep="some", one_in=10, days=90).status_code == 302
    deployment.refresh_from_db()
    assert (deployment.log_one_in, deployment.log_days) == (10, 90)
    assert RequestLog.objects.exists()
    for sent in (
        {"keep": "some", "days": 3},
        {"keep": "some", "one_in": 1, "days": 3},
        {"keep": "some", "one_in": 1001, "days": 3},
        {"keep": "all", "days": 0},
        {"keep": "all", "days": 91},
        {"keep": "odd", "days": 3},
    ):
        assert save(client, deployment, **sent).status_code == 400
    unsure = save(client, deployment, keep="none", days=30)
    assert unsure.status_code == 400
    assert "deletes what was kept" in unsure.content.decode()
    assert RequestLog.objects.exists()
    assert save(client, deployment, keep="none", days=30, deletes="on").status_code == 302
    assert not RequestLog.objects.exists()
    entries = AuditEntry.objects.filter(action="deployment.log-changed")
    assert [(one.detail["keeps_one_in"], one.detail["days"]) for one in entries.order_by("pk")] == [
        ("10", "90"), ("0", "30")]  # fmt: skip


def test_cards_say_that_nothing_is_kept(deployment, alice, client_of):
    type(deployment).objects.update(log_one_in=0)
    client = client_of(alice)
    for name in ("requests", "activity", "drift"):
        page = client.get(reverse(f"inference:{name}", args=[deployment.pk])).content.decode()
        assert "keeps nothing of its requests" in page, name
    type(deployment).objects.update(log_one_in=7, log_days=3)
    page = client.get(reverse("inference:requests", args=[deployment.pk])).content.decode()
    assert "one in 7, chosen by chance" in page
    assert "deleted after 3 days" in page


def test_the_api_reads_and_sets_it_with_an_owners_token_only(deployment, token, bob, api):
    address = f"/api/v1/deployments/{deployment.pk}/request-log"
    assert api(token).get(address).json() == {"object": "request_log", "one_in": 1, "days": 30}
    put = api(token).put(address, {"one_in": 0, "days": 7}, format="json")
    assert (put.status_code, put.json()["one_in"]) == (200, 0)
    for body in ({"one_in": -1, "days": 7}, {"one_in": 1, "days": 91}, {"one_in": 2}):
        assert api(token).put(address, body, format="json").status_code == 400
    Membership.objects.filter(user=token.created_by).update(role="member")
    assert api(token).put(address, {"one_in": 1, "days": 7}, format="json").status_code == 403
    deployment.refresh_from_db()
    assert (deployment.log_one_in, deployment.log_days) == (0, 7)


def served(deployment, one_in):
    return ServedDeployment(
        deployment.pk, "intents", now(), "m", "", "tiny", "text-classification", log_one_in=one_in
    )


def test_one_in_so_many_is_kept_by_chance(deployment):
    counter = UsageCounter(None)
    kept = sum(counter.should_log(served(deployment, 5)) for _ in range(5_000))
    assert 850 < kept < 1_150
    assert not any(counter.should_log(served(deployment, 0)) for _ in range(100))
    assert all(counter.should_log(served(deployment, 1)) for _ in range(100))
    counter._logged_counts[deployment.pk] = MAX_LOGS_PER_FLUSH
    assert not counter.should_log(served(deployment, 1))


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_models_process_follows_at_once(deployment, alice, token, with_models):
    async def ask(client):
        answer = await client.post("/v1/classify", json={"model": "intents", "input": "card"})
        assert answer.status_code == 200

    async def talk(client, app):
        counter = app.services.usage_counter
        await ask(client)
        await counter.flush()
        assert await in_thread(RequestLog.objects.count) == 1
        await in_thread(lambda: retention.set_retention(deployment, 0, 30, alice))
        await asyncio.sleep(1.5)  # The notice comes; DEPLOYMENT_TTL_SECONDS would be far longer.
        await ask(client)
        await counter.flush()

    with_models(talk, token)
    assert not RequestLog.objects.exists()
