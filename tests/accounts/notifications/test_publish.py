"""Telling a team that something happened."""

import threading

import pytest
from django.db import connection

from accounts.models import Notice
from accounts.notifications.publish import publish

pytestmark = pytest.mark.django_db


def test_a_notice_says_what_happened_and_belongs_to_a_group(team):
    publish(team, "training_job.failed", "It failed.", url="/jobs/1/", data={"id": "1"})
    notice = Notice.objects.get()
    assert (notice.sentence, notice.group, notice.data) == ("It failed.", "failures", {"id": "1"})


def test_the_same_key_told_twice_is_one_notice_and_no_key_is_always_new(team, other_team):
    for _ in range(2):
        publish(team, "budget.spent", "Spent.", key="budget:2026-11:100")
        publish(other_team, "budget.spent", "Spent.", key="budget:2026-11:100")
        publish(team, "budget.spent", "Spent.")
    assert Notice.objects.filter(team=team).count() == 3
    assert Notice.objects.filter(team=other_team).count() == 1


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_one_key_told_from_many_threads_at_once_is_one_notice(team):
    start = threading.Barrier(6)

    def run() -> None:
        start.wait()
        publish(team, "budget.spent", "Spent.", key="budget:2026-11:100")
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Notice.objects.count() == 1
