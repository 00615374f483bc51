"""Claims: who may start which job, and that each job goes to one worker."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from billing.budgets import budget
from billing.models import Budget
from tests.training.queued import allow, copy_of
from training.jobs import actions
from training.models import (
    Attempt,
    Status,
    TrainingJob,
)
from training.scheduling import claims
from training.scheduling.wait_reason import wait_reason


def test_a_claim_starts_an_attempt_with_a_lease(job):
    attempt = claims.claim("cpu", "worker-1")
    job.refresh_from_db()
    assert (job.status, attempt.number, attempt.run.fence) == (Status.RUNNING, 1, 1)
    assert attempt.run.source == job.source
    assert attempt.run.lease_until > now()


def test_a_repeated_message_finds_nothing_to_claim(job):
    assert claims.claim("cpu", "worker-1") is not None
    assert claims.claim("cpu", "worker-1") is None
    assert claims.claim("cpu", "worker-2") is None
    assert job.attempts.count() == 1


def test_a_message_for_another_class_claims_nothing(job):
    assert claims.claim("gpu", "worker-1") is None


def test_a_late_message_about_a_cancelled_job_changes_nothing(job, alice):
    actions.cancel(job, alice)
    assert claims.claim("cpu", "worker-1") is None
    job.refresh_from_db()
    assert (job.status, job.attempts.count()) == (Status.CANCELLED, 0)


def test_the_plan_bounds_how_many_jobs_run_at_once(job):
    allow(job, 1)
    copy_of(job)
    assert claims.claim("cpu", "worker-1") is not None
    assert claims.claim("cpu", "worker-2") is None
    allow(job, 2)
    assert claims.claim("cpu", "worker-2") is not None


def test_the_team_with_fewest_running_jobs_goes_first(job, other_team):
    allow(job, 5)
    second_of_first_team = copy_of(job, queued_at=now() - timedelta(hours=1))
    claims.claim("cpu", "worker-1")
    others = copy_of(job, team=other_team, queued_at=now())
    assert claims.claim("cpu", "worker-2").job_id == others.pk
    assert claims.claim("cpu", "worker-3").job_id in {second_of_first_team.pk, job.pk}


def test_priority_then_age_decides_within_a_team(job):
    allow(job, 9)
    urgent = copy_of(job, priority=5)
    older = copy_of(job, queued_at=now() - timedelta(hours=1))
    order = [claims.claim("cpu", "worker").job_id for _ in range(3)]
    assert order == [urgent.pk, older.pk, job.pk]


def test_a_frozen_team_starts_nothing(job):
    job.team.frozen_at = now()
    job.team.save()
    assert claims.claim("cpu", "worker-1") is None
    assert wait_reason(job) == "this team is suspended"


def test_a_job_that_cannot_pay_is_paused_and_the_next_one_runs(job, other_team):
    budget.get_budget(job.team)
    Budget.objects.filter(pk=job.team_id).update(cap_micro=10)
    paying = copy_of(job, team=other_team)
    assert claims.claim("cpu", "worker-1").job_id == paying.pk
    job.refresh_from_db()
    assert job.status == Status.PAUSED


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_claims_at_once_each_job_goes_to_one(job):
    allow(job, 50)
    for _ in range(7):
        copy_of(job)
    claimed: list[Attempt] = []

    def take(name: str) -> None:
        while (attempt := claims.claim("cpu", name)) is not None:
            claimed.append(attempt)
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A claim that finds every row locked by others goes away; the next nudge takes what is left.
    while (attempt := claims.claim("cpu", "late")) is not None:
        claimed.append(attempt)
    assert len(claimed) == 8
    assert len({attempt.job_id for attempt in claimed}) == 8


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_racing_claims_of_one_team_stay_within_its_plan(job):
    allow(job, 2)
    for _ in range(5):
        copy_of(job)
    claimed: list[Attempt] = []

    def take(name: str) -> None:
        if (attempt := claims.claim("cpu", name)) is not None:
            claimed.append(attempt)
        connection.close()

    threads = [threading.Thread(target=take, args=(f"worker-{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) <= 2
    assert TrainingJob.objects.filter(status=Status.RUNNING).count() == len(claimed)
