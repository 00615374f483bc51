"""Messages are sent by name, after the commit, and an absent broker breaks nothing."""

import pytest
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from web.enqueue import enqueue, enqueue_on_commit


@pytest.fixture
def sent(monkeypatch) -> list[tuple]:
    messages: list[tuple] = []

    def send_task(name, args, **options):
        messages.append((name, args, options))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return messages


def test_a_message_carries_name_arguments_queue_and_expiry(sent):
    enqueue("training.tasks.work", "cpu", queue="compute.cpu")
    options = {"queue": "compute.cpu", "expires": 60, "retry": False}
    assert sent == [("training.tasks.work", ("cpu",), options)]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_nothing_is_sent_before_the_commit_or_after_a_rollback(sent):
    with transaction.atomic():
        enqueue_on_commit("accounts.tasks.fan_out")
        assert sent == []
    assert len(sent) == 1
    with transaction.atomic():
        enqueue_on_commit("accounts.tasks.fan_out")
        transaction.set_rollback(True)
    assert len(sent) == 1


def test_a_broker_that_is_away_is_logged_and_never_raised(monkeypatch, caplog):
    def send_task(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(current_app, "send_task", send_task)
    enqueue("accounts.tasks.fan_out")
    assert "accounts.tasks.fan_out" in caplog.text
