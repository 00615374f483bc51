"""Messages to trainers: sent again while jobs wait, and never a reason to fail."""

import pytest

from tests.training.queued import copy_of
from training.jobs import actions
from training.scheduling import dispatch, workers


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(
        dispatch, "enqueue", lambda task, *args, queue: messages.append((task, args, queue))
    )
    return messages


def test_a_lost_message_is_sent_again(job, sent):
    dispatch.notify_workers_of_queued_jobs()
    assert sent == [("training.tasks.work", ("cpu",), "compute.cpu")]


def test_no_message_is_sent_when_nothing_waits(job, alice, sent):
    actions.cancel(job, alice)
    dispatch.notify_workers_of_queued_jobs()
    assert sent == []


def test_there_is_a_message_for_each_trainer_online_but_no_more_than_jobs(job, sent):
    for name in ("a", "b", "c"):
        workers.register(name, "cpu", devices=[])
    copy_of(job)
    dispatch.notify_workers_of_queued_jobs()
    assert len(sent) == 2
    workers.deregister("a")
    workers.deregister("b")
    sent.clear()
    dispatch.notify_workers_of_queued_jobs()
    assert len(sent) == 1
