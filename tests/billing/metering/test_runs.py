import threading
import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets import budget
from billing.metering import runs
from billing.metering.cost_summary import load_cost_summary
from billing.metering.runs import CapReached, LeaseDecision
from billing.metering.usage_events import UsageRecord, record_usage
from billing.models import (
    Budget,
    LedgerEntry,
    MeteredRun,
    Rate,
    RunEndReason,
    UsageEvent,
    UsageSegment,
)
from billing.money import affordable_ms, amount_micro, ceil_micro

SOURCE = "training-job:1"


@pytest.fixture
def run(team: Team) -> MeteredRun:
    return opened(team)


def opened(team: Team, source: str = SOURCE, started_ago: float = 30.0) -> MeteredRun:
    """A run that started a while ago and whose lease is fresh."""
    with transaction.atomic():
        run = runs.open_run(team, source, "cpu")
    MeteredRun.objects.filter(pk=run.pk).update(started_at=now() - timedelta(seconds=started_ago))
    run.refresh_from_db()
    return run


def expire(run: MeteredRun) -> None:
    MeteredRun.objects.filter(pk=run.pk).update(lease_until=now() - timedelta(seconds=1))


def spent(team: Team) -> int:
    return LedgerEntry.objects.filter(team=team).total_micro()


def test_a_heartbeat_bills_what_is_new_and_renews_the_lease(team, run):
    result = runs.heartbeat(run.pk, run.fence, 5_000)
    assert result.decision == LeaseDecision.CONTINUE
    assert result.lease_seconds == pytest.approx(60, abs=1)
    assert spent(team) == amount_micro(5_000, 20_000) == 100


def test_a_repeated_or_older_heartbeat_bills_and_renews_nothing(team, run):
    runs.heartbeat(run.pk, run.fence, 5_000)
    run.refresh_from_db()
    for run_ms in (5_000, 4_000, 0):
        assert runs.heartbeat(run.pk, run.fence, run_ms).decision == LeaseDecision.STALE
    lease = run.lease_until
    run.refresh_from_db()
    assert (run.lease_until, spent(team)) == (lease, 100)


def test_time_that_has_not_passed_on_the_databases_clock_is_not_billed(team):
    run = opened(team, started_ago=2)
    runs.heartbeat(run.pk, run.fence, 3_600_000)
    run.refresh_from_db()
    assert 1_900 < run.billed_ms < 4_000


def test_nothing_past_the_lease_is_billed_and_a_late_sender_is_fenced(team, run):
    MeteredRun.objects.filter(pk=run.pk).update(lease_until=run.started_at + timedelta(seconds=3))
    assert runs.heartbeat(run.pk, run.fence, 20_000).decision == LeaseDecision.FENCED
    run.refresh_from_db()
    assert run.billed_ms == 3_000


def test_an_old_fence_changes_nothing(team, run):
    assert runs.heartbeat(run.pk, run.fence - 1, 5_000).decision == LeaseDecision.FENCED
    assert spent(team) == 0


def test_an_ended_run_bills_nothing_more(team, run):
    runs.heartbeat(run.pk, run.fence, 5_000)
    runs.end_run(run.pk, RunEndReason.STOPPED)
    assert runs.heartbeat(run.pk, run.fence, 9_000).decision == LeaseDecision.FENCED
    assert spent(team) == 100
    assert budget.get_budget(team).reserved_micro == 0


def test_only_an_expired_lease_is_reaped_and_the_run_ends_there(team, run):
    assert not runs.expire_lease(run.pk)
    expire(run)
    assert runs.expire_lease(run.pk)
    run.refresh_from_db()
    assert run.ended_at == run.lease_until
    assert run.end_reason == RunEndReason.LEASE


def test_a_source_has_one_live_run_and_its_fences_grow(team, run):
    with pytest.raises(IntegrityError), transaction.atomic():
        runs.open_run(team, SOURCE, "cpu")
    runs.end_run(run.pk, RunEndReason.FINISHED)
    time.sleep(0.01)
    with transaction.atomic():
        assert runs.open_run(team, SOURCE, "cpu").fence == 2


def test_the_database_refuses_a_millisecond_billed_twice(team, run):
    runs.heartbeat(run.pk, run.fence, 5_000)
    with pytest.raises(IntegrityError, match="no_millisecond_twice"), transaction.atomic():
        UsageSegment.objects.create(
            run=run,
            team=team,
            source=SOURCE,
            span=NumericRange(4_999, 6_000),
            device_ms=1_001,
            amount_micro=1,
        )


@pytest.mark.parametrize("verb", ["UPDATE {} SET team_id = team_id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["billing_ledgerentry", "billing_usagesegment"])
def test_money_rows_are_append_only(team, run, verb, table):
    runs.heartbeat(run.pk, run.fence, 5_000)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        connection.cursor().execute(verb.format(table))


def test_a_rate_is_never_edited(db):
    with pytest.raises(IntegrityError, match="superseded"), transaction.atomic():
        Rate.objects.filter(sku="cpu").update(nano_per_unit=1)


def test_the_parts_add_up_to_the_price_of_the_whole(team):
    run = opened(team, started_ago=100)
    for run_ms in (1, 2, 7, 333, 334, 10_001, 77_777):
        runs.heartbeat(run.pk, run.fence, run_ms)
    assert spent(team) == amount_micro(77_777, 20_000)
    assert (
        load_cost_summary(SOURCE).amount_micro == spent(team) == budget.get_budget(team).spent_micro
    )


def test_work_after_the_last_checkpoint_is_refunded_once(team, run):
    runs.heartbeat(run.pk, run.fence, 5_000)
    runs.mark_checkpointed(run.pk, run.fence)
    runs.heartbeat(run.pk, run.fence, 12_000)
    expire(run)
    runs.expire_lease(run.pk)
    assert runs.refund_lost_work(run.pk, "Worker lost") == 140
    assert runs.refund_lost_work(run.pk, "Worker lost") == 0
    assert spent(team) == 100 == budget.get_budget(team).spent_micro


def test_a_run_does_not_start_without_money_for_a_heartbeat(team):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=99)
    with pytest.raises(CapReached), transaction.atomic():
        runs.open_run(team, SOURCE, "cpu")


def test_the_lease_never_outlives_the_money(team):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=200)
    with transaction.atomic():
        run = runs.open_run(team, SOURCE, "cpu")
    assert run.lease_until - run.started_at == timedelta(seconds=10)
    assert budget.get_budget(team).reserved_micro == 200


def test_the_cap_ends_a_run_and_is_never_exceeded(team):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=700)
    run = opened(team, started_ago=0)
    verdicts, started_at = [], run.started_at
    for second in range(1, 60):
        # Move the run's past instead of waiting: one second of lease and of clock per turn.
        started_at = now() - timedelta(seconds=second)
        shift = timedelta(seconds=1)
        held = MeteredRun.objects.get(pk=run.pk)
        if held.ended_at:
            break
        MeteredRun.objects.filter(pk=run.pk).update(
            started_at=started_at, lease_until=max(held.lease_until - shift, started_at + shift)
        )
        verdicts.append(runs.heartbeat(run.pk, run.fence, second * 1000).decision)
    assert LeaseDecision.CAP_REACHED in verdicts or LeaseDecision.FENCED in verdicts
    assert 0 < spent(team) <= 700


def test_two_teams_runs_share_nothing(team, other_team, run):
    other = opened(other_team, "training-job:2")
    runs.heartbeat(other.pk, other.fence, 5_000)
    assert (spent(team), spent(other_team)) == (0, 100)


def test_concurrent_runs_of_one_team_never_reserve_more_than_the_cap(team):
    budget.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=1_000)
    for number in range(5):
        try:
            with transaction.atomic():
                runs.open_run(team, f"training-job:{number}", "cpu")
        except CapReached:
            break
    held = budget.get_budget(team)
    assert held.spent_micro + held.reserved_micro <= 1_000


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_racing_heartbeats_count_each_millisecond_once(team):
    run = opened(team, started_ago=100)
    errors: list[Exception] = []

    def beat(offset: int) -> None:
        try:
            for run_ms in range(offset, 20_000, 400):
                runs.heartbeat(run.pk, run.fence, run_ms)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=beat, args=(offset,)) for offset in (100, 200, 300, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.refresh_from_db()
    assert not errors
    assert spent(team) == amount_micro(run.billed_ms, 20_000)
    assert sum(s.device_ms for s in UsageSegment.objects.filter(run=run)) == run.billed_ms


def test_counted_uses_are_booked_once_and_fractions_are_not_lost(team):
    uses = [
        UsageRecord(team_id=team.pk, source="deployment:1", event_key=f"k{n}", units=30, requests=1)
        for n in range(10)
    ]
    assert record_usage(uses) == 10
    assert record_usage(uses) == 0
    # 300 tokens at 20 nano-USD are 6 micro-USD, though 30 tokens alone are only 0.6.
    assert spent(team) == 6 == budget.get_budget(team).spent_micro
    assert UsageEvent.objects.filter(team=team).count() == 10


@pytest.mark.parametrize("nano", [1, 333, 20_000, 555_556])
def test_affordable_time_never_costs_more_than_the_money(nano):
    for micro in (0, 1, 7, 1_000, 123_457):
        ms = affordable_ms(micro, nano, 3)
        assert ceil_micro(ms * 3, nano) <= micro
        assert ceil_micro((ms + 1) * 3, nano) > micro or ceil_micro(3, nano) == 0
