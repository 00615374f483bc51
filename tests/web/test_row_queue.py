"""Rows as a queue: every row is claimed by one worker, and comes back when that one dies."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from accounts.models import Notice, NoticeEmail
from web import row_queue

DAY = timedelta(days=1)


@pytest.fixture
def emails(team, alice) -> list[NoticeEmail]:
    notices = [
        Notice.objects.create(team=team, event="job.succeeded", sentence=f"Job {number} is done.")
        for number in range(6)
    ]
    return [
        NoticeEmail.objects.create(notice=notice, user=alice, next_at=now() - timedelta(minutes=n))
        for n, notice in enumerate(notices)
    ]


def due():
    return NoticeEmail.objects.filter(next_at__lte=now()).order_by("next_at")


@pytest.mark.django_db
def test_a_claim_counts_an_attempt_and_moves_the_due_time(emails):
    until = now() + DAY
    claimed = row_queue.claim_rows(due(), limit=4, next_at=until)
    assert [row.pk for row in claimed] == [row.pk for row in reversed(emails)][:4]
    rows = NoticeEmail.objects.filter(pk__in=[row.pk for row in claimed])
    assert set(rows.values_list("attempts", "next_at")) == {(1, until)}
    assert due().count() == 2
    assert row_queue.claim_rows(due(), limit=4, next_at=until) != []
    assert row_queue.claim_rows(due(), limit=4, next_at=until) == []


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_many_workers_at_once_never_share_a_row(emails):
    claims: list[int] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        claims.extend(row.pk for row in row_queue.claim_rows(due(), limit=2, next_at=now() + DAY))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == len(set(claims))
    leftover = row_queue.claim_rows(due(), limit=10, next_at=now() + DAY)
    assert sorted(claims + [row.pk for row in leftover]) == sorted(row.pk for row in emails)


@pytest.mark.django_db
def test_only_the_holder_of_the_claim_writes_its_outcome(emails):
    (first,) = row_queue.claim_rows(due(), limit=1, next_at=now() - DAY)
    (second,) = row_queue.claim_rows(due().filter(pk=first.pk), limit=1, next_at=now() + DAY)
    assert not row_queue.update_claimed(first, error="the late one")
    assert row_queue.update_claimed(second, error="the holder")
    assert second.error == "the holder"
    assert NoticeEmail.objects.get(pk=first.pk).error == "the holder"


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 10), (1, 10), (2, 60), (3, 600), (99, 600)])
def test_delays_grow_and_the_last_repeats(attempts, seconds):
    delay = (row_queue.retry_at(attempts, [10, 60, 600], jitter=0) - now()).total_seconds()
    assert delay == pytest.approx(seconds, abs=1)


def test_jitter_only_lengthens():
    delays = [(row_queue.retry_at(1, [100]) - now()).total_seconds() for _ in range(200)]
    assert 99 < min(delays) < max(delays) < 121
    assert max(delays) - min(delays) > 5
