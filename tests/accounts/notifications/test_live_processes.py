"""Notices across processes: seen at once by open pages, sent again after a kill."""

import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils.timezone import now

from accounts.models import Membership, Notice, WebhookDelivery
from accounts.notifications import read_state
from accounts.notifications.fan_out import fan_out_pending
from accounts.notifications.publish import notices_channel, publish
from accounts.webhooks import endpoints
from accounts.webhooks.delivery import deliver_due
from tests.accounts.webhooks.receiver import receiving
from tests.training.trainers import PROJECT, environment, wait_until
from web.sse import POSTGRES_CHANNEL

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

DELIVER = """
import django
django.setup()
from accounts.webhooks import delivery
delivery.deliver_due()
"""


def test_open_pages_hear_of_a_notice_and_of_reading_when_they_commit(team, alice):
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        params.pop(name, None)
    with psycopg.connect(**params, autocommit=True) as listening:
        listening.execute(f"LISTEN {POSTGRES_CHANNEL}")

        def heard(seconds: float) -> list[str]:
            return [one.payload for one in listening.notifies(timeout=seconds, stop_after=1)]

        with transaction.atomic():
            publish(team, "dataset.ready", "Ready.")
            assert heard(0.3) == []
        assert heard(20) == [notices_channel(team)]
        read_state.mark_read(Notice.objects.get(), Membership.objects.get())
        assert heard(20) == [notices_channel(team)]


def test_nothing_is_told_by_a_transaction_that_rolls_back(team, alice):
    with transaction.atomic():
        publish(team, "dataset.ready", "Ready.")
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


@pytest.mark.slow
def test_a_process_killed_while_it_waits_for_the_answer_leaves_the_delivery_to_another(
    team, alice, settings
):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    with receiving() as receiver:
        endpoints.create(team, alice, url=receiver.url, events=["dataset.ready"])
        publish(team, "dataset.ready", "Ready.")
        fan_out_pending()
        receiver.pause_seconds = 10
        allowed = {"LATHE_WEBHOOKS_ALLOW_HTTP": "true", "LATHE_WEBHOOKS_ALLOW_PRIVATE": "true"}
        worker = subprocess.Popen(
            [sys.executable, "-c", DELIVER], env=environment(**allowed), cwd=PROJECT
        )
        try:
            wait_until(lambda: receiver.got, what="for the first attempt")
        finally:
            worker.kill()
            worker.wait()
        receiver.pause_seconds = 0
        delivery = WebhookDelivery.objects.get()
        assert (delivery.status, delivery.attempts) == ("retrying", 1)
        assert deliver_due() == 0  # Still claimed: a second worker does not send it meanwhile.
        WebhookDelivery.objects.update(next_at=now() - timedelta(seconds=1))
        deliver_due()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.attempts) == ("delivered", 2)
        first, second = receiver.got
        assert first[0]["webhook-id"] == second[0]["webhook-id"]
        assert first[1] == second[1]
