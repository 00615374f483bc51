"""What operators see of queues and duties."""

import pytest
from django.utils.timezone import now

from accounts.notifications.publish import publish
from config import celery, monitoring
from web.queues.readings import read_queues


def test_every_kind_of_waiting_row_is_measured(team):
    publish(team, "training_job.failed", "It failed.")
    queues = {queue.name: queue for queue in read_queues()}
    assert {"imports", "analyses", "training jobs", "webhooks", "e-mails", "notices",
            "stripe events"} <= set(queues)  # fmt: skip
    assert queues["notices"].waiting == 1
    assert queues["notices"].oldest_at <= now()
    assert (queues["imports"].waiting, queues["imports"].age.total_seconds()) == (0, 0)


@pytest.mark.parametrize("sent", ["", "Bearer wrong", "Bearer "])
def test_metrics_are_nobodys_without_the_token(client, settings, sent, db):
    for token in ("", "s3cret"):
        settings.METRICS_TOKEN = token
        assert client.get("/metrics", headers={"authorization": sent}).status_code == 404


def test_prometheus_reads_queues_and_duties(client, settings, team):
    class Task:
        name = "training.tasks.watch"

    celery.record_duty(task=Task)
    settings.METRICS_TOKEN = "s3cret"
    text = client.get("/metrics", headers={"authorization": "Bearer s3cret"}).content.decode()
    assert 'lathe_queue_waiting{queue="imports"} 0.0' in text
    assert 'lathe_queue_oldest_seconds{queue="webhooks"} 0.0' in text
    assert 'lathe_duty_began_seconds{duty="watchdog"}' in text
    assert "process_cpu_seconds_total" in text
    (duty,) = [duty for duty in monitoring.read_duties() if duty.name == "watchdog"]
    assert duty.since.total_seconds() < 60


def test_operators_see_the_queues_and_nobody_else_does(client, client_of, alice, bob):
    alice.is_staff = alice.is_superuser = True
    alice.save()
    page = client_of(alice).get("/admin/queues/").content.decode()
    assert "imports" in page
    assert "watchdog" in page
    assert "/admin/queues/" in client_of(alice).get("/admin/").content.decode()
    assert client_of(bob).get("/admin/queues/").status_code == 302
    assert client.get("/admin/queues/").status_code == 302
