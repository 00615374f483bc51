"""Phases that are not billed: never paid for, never a reason to pause, and no way past the cap."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from billing.budgets import budget
from billing.credit import grants
from billing.metering import runs
from billing.metering.runs import CapReached, LeaseDecision
from billing.models import Budget, LedgerEntry, MeteredRun, RunEndReason
from billing.money import amount_micro

SOURCE = "training-job:1"
NANO = 20_000  # Per second of "cpu": 20 micro-USD.


def capped(team, micro):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=micro)


@pytest.fixture
def run(team):
    capped(team, 10_000)
    with transaction.atomic():
        return runs.open_run(team, SOURCE, "cpu")


def later(run, seconds):
    """Let this much time pass, by moving the run's past."""
    held = MeteredRun.objects.get(pk=run.pk)
    back = timedelta(seconds=seconds)
    MeteredRun.objects.filter(pk=run.pk).update(
        started_at=held.started_at - back, lease_until=held.lease_until - back
    )


def beat(run, run_s, alive_s, *, is_free=False):
    return runs.heartbeat(
        run.pk, run.fence, int(run_s * 1000), uptime_ms=int(alive_s * 1000), is_free=is_free
    ).decision


def reserved(team):
    return Budget.objects.get(pk=team.pk).reserved_micro


def spent(team):
    return LedgerEntry.objects.filter(team=team).total_micro()


def test_an_hour_of_downloading_reserves_no_more_than_its_first_minute(team, run):
    first = reserved(team)
    for minute in range(1, 61):
        later(run, 59)
        assert beat(run, 0, minute * 59, is_free=True) == LeaseDecision.CONTINUE
        assert reserved(team) <= first + 400  # What this test itself takes
    assert spent(team) == 0


def test_a_free_phase_goes_on_with_no_money_left_at_all(team, run):
    later(run, 5)
    beat(run, 5, 5)
    capped(team, spent(team))
    for number in range(2, 6):
        later(run, 50)
        assert beat(run, 5, 5 + number * 50, is_free=True) == LeaseDecision.CONTINUE
    assert (reserved(team), spent(team)) == (0, 100)
    runs.end_run(run.pk, RunEndReason.FINISHED)


def test_work_after_a_free_phase_is_billed_exactly(team, run):
    later(run, 40)
    beat(run, 0, 40, is_free=True)
    later(run, 50)
    assert beat(run, 50, 90) == LeaseDecision.CONTINUE
    assert spent(team) == amount_micro(50_000, NANO)


def test_what_was_declared_free_can_never_be_billed(team, run):
    later(run, 40)
    beat(run, 0, 40, is_free=True)
    later(run, 10)
    beat(run, 50, 50)
    billed_ms = MeteredRun.objects.get(pk=run.pk).billed_ms
    assert 10_000 <= billed_ms < 11_000


def test_work_that_begins_while_the_cap_is_spent_is_never_charged_past_it(team, run):
    later(run, 5)
    beat(run, 5, 5)
    capped(team, spent(team) + 40)  # Two seconds more, less than a heartbeat.
    later(run, 10)
    assert beat(run, 5, 15, is_free=True) == LeaseDecision.CONTINUE
    later(run, 20)
    assert beat(run, 25, 35) == LeaseDecision.CAP_REACHED
    assert spent(team) == 140
    later(run, 20)
    assert beat(run, 45, 55) == LeaseDecision.CAP_REACHED
    assert spent(team) == 140


def test_work_beyond_the_last_funds_is_paid_by_the_next_as_soon_as_there_are_any(team, run):
    later(run, 5)
    beat(run, 5, 5)
    capped(team, spent(team) + 40)
    later(run, 10)
    assert beat(run, 5, 15, is_free=True) == LeaseDecision.CONTINUE
    capped(team, 10_000)
    later(run, 20)
    assert beat(run, 25, 35) == LeaseDecision.CONTINUE
    runs.end_run(run.pk, RunEndReason.FINISHED)
    assert spent(team) == amount_micro(25_000, NANO)


def test_at_the_cap_the_run_stays_open_unfunded_so_that_its_worker_can_save(team, run):
    later(run, 5)
    capped(team, 100)
    assert beat(run, 5, 5) == LeaseDecision.CAP_REACHED
    held = MeteredRun.objects.get(pk=run.pk)
    assert (held.ended_at, held.reserved_micro, held.reserved_until_ms) == (None, 0, held.billed_ms)
    later(run, 30)
    assert beat(run, 5, 35, is_free=True) == LeaseDecision.CONTINUE
    assert not runs.expire_lease(run.pk)


def test_a_raised_cap_lets_an_unfunded_run_go_on(team, run):
    later(run, 5)
    capped(team, 100)
    beat(run, 5, 5)
    capped(team, 10_000)
    later(run, 5)
    assert beat(run, 10, 10) == LeaseDecision.CONTINUE
    later(run, 5)
    assert beat(run, 15, 15) == LeaseDecision.CONTINUE
    assert spent(team) == 300


def test_the_database_refuses_to_bill_what_is_not_funded(team, run):
    with pytest.raises(IntegrityError, match="within_what_is_funded"), transaction.atomic():
        MeteredRun.objects.filter(pk=run.pk).update(billed_ms=10_000_000)


def prepaid(team, micro=0):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(mode="prepaid", cap_micro=None)
    if micro:
        grants.grant(team, micro, kind="paid", source="topup:1", note="Top-up")


def test_without_credit_a_prepaid_team_starts_nothing(team):
    prepaid(team)
    with pytest.raises(CapReached), transaction.atomic():
        runs.open_run(team, SOURCE, "cpu")


def test_a_prepaid_lease_lasts_as_long_as_credit_does(team):
    prepaid(team, 200)
    with transaction.atomic():
        run = runs.open_run(team, SOURCE, "cpu")
    assert run.lease_until - run.started_at == timedelta(seconds=10)
    later(run, 9)
    assert beat(run, 9, 9) == LeaseDecision.CAP_REACHED
    assert (spent(team), grants.credit_balance_micro(team)) == (-200 + 180, 20)


def test_credit_about_to_expire_backs_no_lease(team):
    prepaid(team)
    soon = now() + timedelta(seconds=90)
    grants.grant(team, 10_000, kind="promo", source="p", note="Short", expires_at=soon)
    with pytest.raises(CapReached), transaction.atomic():
        runs.open_run(team, SOURCE, "cpu")


def test_taking_back_a_top_up_stops_what_runs_on_it(team):
    prepaid(team, 10_000)
    with transaction.atomic():
        run = runs.open_run(team, SOURCE, "cpu")
    later(run, 5)
    assert beat(run, 5, 5) == LeaseDecision.CONTINUE
    grants.revoke("topup:1", "Disputed")
    assert grants.credit_balance_micro(team) == -100
    later(run, 5)
    assert beat(run, 10, 10) == LeaseDecision.CAP_REACHED
    with pytest.raises(CapReached), transaction.atomic():
        runs.open_run(team, "training-job:2", "cpu")


def test_of_cap_and_credit_the_smaller_one_limits(team):
    prepaid(team, 10_000)
    Budget.objects.filter(pk=team.pk).update(cap_micro=300)
    assert budget.get_budget(team).left_micro == 300
    Budget.objects.filter(pk=team.pk).update(cap_micro=20_000)
    assert budget.get_budget(team).left_micro == 10_000
