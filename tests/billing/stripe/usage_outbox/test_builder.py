"""Usage becomes rows: whole units, once, in the right period, each in a minute of its own."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from billing.credit.invoice_periods import EPOCH
from billing.metering import runs
from billing.models import (
    LedgerEntry,
    MeterProgress,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxItem,
    UsageSegment,
)
from billing.stripe.usage_outbox import build, builder
from tests.billing.stripe.usage_outbox.outbox_facts import ask, rows, run_of, service, use, values


@pytest.fixture
def subscribe(monkeypatch):
    """Let a subscription bill the teams from now on."""

    def begin(**facts):
        held = service(**facts)
        monkeypatch.setattr(builder, "find_metered_subscription", lambda team_id: held)
        return held

    return begin


def test_whole_seconds_are_reported_once_and_fractions_are_carried(team, subscribe):
    subscribe()
    run = run_of(team)
    use(run, 1_900)
    assert build() == 1
    use(run, 1_099)
    assert (build(), values(team)) == (1, [1, 1])
    use(run, 1)
    assert (build(), build(), values(team)) == (1, 0, [1, 1, 1])
    assert MeterProgress.objects.get().used == 3_000
    assert StripeOutboxItem.objects.count() == 3


def test_less_than_a_second_makes_no_row_and_is_not_lost(team, subscribe):
    subscribe()
    run = run_of(team)
    for _ in range(9):
        use(run, 100)
        build(team.pk)
    assert values(team) == []
    use(run, 100)
    build(team.pk)
    (row,) = rows(team)
    assert (row.value, row.amount_micro) == (1, 20)  # The money of all ten, not of the last.


def test_several_devices_count_their_seconds_each(team, subscribe):
    subscribe()
    use(run_of(team, devices=4), 1_500)
    build()
    assert values(team) == [6]


def test_tokens_and_each_compute_class_have_a_meter_of_their_own(team, subscribe):
    subscribe()
    use(run_of(team), 5_000)
    use(run_of(team, "gpu"), 7_000)
    ask(team, 120)
    ask(team, 3)
    build()
    assert (values(team), values(team, "gpu"), values(team, "inference-tokens")) == (
        [5],
        [7],
        [123],
    )
    assert {row.event_name for row in rows(team, "gpu")} == {"lathe_gpu"}


def test_rows_are_identified_and_frozen_for_their_customer(team, subscribe):
    subscribe()
    use(run_of(team), 5_000)
    build()
    (row,) = rows(team)
    assert row.identifier == f"prod:cpu:{team.pk.hex}:1"
    assert (row.customer, row.event_name, row.status) == ("cus_1", "lathe_cpu", "pending")
    assert row.idempotency_key == f"me:{row.identifier}:0"


def test_a_very_long_meter_still_makes_a_short_identifier(team, subscribe):
    from billing.pricing import supersede

    meter = "a" * 60
    supersede(meter, 1_000)
    subscribe(event_names={meter: "long"})
    use(run_of(team, meter), 5_000)
    build()
    assert len(rows(team, meter)[0].identifier) <= 90


def test_every_row_of_a_meter_has_a_minute_of_its_own(team, subscribe):
    held = subscribe()
    run, moment = run_of(team), now()
    for _ in range(5):
        use(run, 1_000, moment)
        build()
    minutes = [row.minute for row in rows(team)]
    assert len(set(minutes)) == 5
    assert all(
        held.row.created_at.timestamp() / 60 <= m <= moment.timestamp() / 60 for m in minutes
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        StripeOutbox.objects.create(
            team=team, meter="cpu", subscription="s", customer="c", sequence=99,
            identifier="x", minute=minutes[0], value=1, amount_micro=1,
        )  # fmt: skip


def test_usage_is_cut_at_the_boundary_of_the_service_period(team, subscribe):
    boundary = datetime(2026, 11, 10, 12, 34, 56, tzinfo=UTC)
    subscribe(
        created_at=boundary - timedelta(days=30), period_start=boundary,
        period_end=boundary + timedelta(days=30),
    )  # fmt: skip
    run = run_of(team)
    use(run, 4_400, boundary - timedelta(seconds=20))
    use(run, 3_300, boundary - timedelta(seconds=1))
    use(run, 2_200, boundary)
    use(run, 1_100, boundary + timedelta(seconds=1))
    build()
    old, new = rows(team)
    assert (old.value, new.value) == (7, 4)  # 7.7 s, then 3.3 s and the carried 0.7 s.
    assert old.period_end == boundary
    assert old.happened_at < boundary <= new.happened_at
    assert new.happened_at == datetime(2026, 11, 10, 12, 35, tzinfo=UTC)


def test_usage_after_a_renewal_that_we_have_not_heard_of_stays_out_of_the_old_period(
    team, subscribe
):
    end = now() - timedelta(minutes=30)
    subscribe(period_start=end - timedelta(days=30), period_end=end)
    run = run_of(team)
    use(run, 2_000, end - timedelta(seconds=1))
    use(run, 3_000, now())
    build()
    old, new = rows(team)
    assert (old.value, old.period_end, new.value, new.period_end) == (2, end, 3, None)
    assert old.happened_at < end <= new.happened_at


def test_nothing_is_reported_before_the_period_has_a_whole_minute(team, subscribe):
    start = now().replace(second=30, microsecond=0)
    subscribe(created_at=start, period_start=start)
    use(run_of(team), 5_000, start + timedelta(seconds=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "now", lambda: start + timedelta(seconds=20))
        assert build() == 0
        assert not MeterProgress.objects.exists()
        patch.setattr(builder, "now", lambda: start + timedelta(seconds=31))
        assert (build(), values(team)) == (1, [5])


def test_without_a_subscription_rows_are_local(team):
    use(run_of(team), 5_000)
    build()
    (row,) = rows(team)
    assert (row.status, row.subscription, row.value) == ("local", "", 5)


def test_a_later_subscription_reports_only_what_was_used_after_its_start(team, subscribe):
    run = run_of(team)
    use(run, 4_900, now() - timedelta(days=20))
    build()
    held = subscribe()
    use(run, 800, held.row.created_at - timedelta(seconds=1))  # Not built yet, and yet too early.
    use(run, 3_500, held.row.created_at + timedelta(hours=1))
    use(run, 900, now())
    build()
    assert values(team, status="local") == [4, 1]
    assert sum(values(team, status="pending")) == 4  # 4.4 s; the 0.7 s before did not come over.


def test_usage_waits_for_the_meter_that_its_subscription_lacks(team, subscribe):
    subscribe(event_names={"gpu": "lathe_gpu"})
    use(run_of(team), 5_000)
    build()
    (row,) = rows(team, "adjustments")
    assert (row.status, row.amount_micro, row.event_name) == ("pending", 100, "")
    assert row.period_end == EPOCH  # No event: its amount goes with a later row.


def test_usage_after_the_end_of_a_subscription_is_local(team, subscribe):
    ended = now() - timedelta(hours=1)
    subscribe(ended_at=ended)
    run = run_of(team)
    use(run, 5_000, ended - timedelta(seconds=5))
    use(run, 6_000, ended + timedelta(seconds=5))
    build()
    pending, local = rows(team)
    assert (pending.value, pending.status, pending.period_end) == (5, "pending", ended)
    assert (local.value, local.status) == (6, "local")


def test_a_long_backlog_is_taken_in_whole_and_stamped_near_its_hour(team, subscribe, monkeypatch):
    monkeypatch.setattr(builder, "BATCH_SIZE", 50)
    monkeypatch.setattr("billing.stripe.usage_outbox.pending_usage.BATCH_SIZE", 50)
    subscribe()
    run, start = run_of(team), now() - timedelta(hours=5)
    for number in range(120):
        use(run, 1_001, start + timedelta(minutes=2 * number))
    assert build() == 120
    assert sum(values(team)) == 120
    for row in rows(team):
        item = row.items.order_by("segment").last()
        assert abs(row.happened_at - item.segment.recorded_at) < timedelta(hours=1)


def test_a_segment_can_be_carried_once_only(team, subscribe):
    subscribe()
    segment = use(run_of(team), 5_000)
    build()
    with pytest.raises(IntegrityError), transaction.atomic():
        StripeOutboxItem.objects.create(segment=segment)


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM billing_stripeoutbox", "UPDATE billing_stripeoutbox SET value = value + 1",
     "DELETE FROM billing_stripeoutboxitem",
     "UPDATE billing_stripeoutboxitem SET outbox_id = NULL"],
)  # fmt: skip
def test_the_database_keeps_what_was_reported(team, subscribe, change):
    subscribe()
    use(run_of(team), 5_000)
    build()
    with pytest.raises(IntegrityError), transaction.atomic():
        connection.cursor().execute(change)


def test_a_refund_is_credit_and_never_a_negative_event(team, subscribe):
    subscribe()
    run = run_of(team)
    use(run, 4_000)
    run.checkpointed_ms = 4_000
    run.save()
    use(run, 6_500)
    build()
    assert runs.refund_lost_work(run.pk, "Worker lost")
    assert (build(), build()) == (1, 0)  # Looked at once, told never.
    assert values(team) == [10]
    assert MeterProgress.objects.get().used == 10_500


@pytest.mark.parametrize("amount", [2_500_000, -2_500_000])
def test_an_adjustment_that_charges_is_metered_by_its_amount_once(team, subscribe, amount):
    subscribe()
    LedgerEntry.objects.create(
        team=team, kind="adjustment", amount_micro=amount, source="adjustment:1", note="Sorry"
    )
    run_of(team)
    assert (build(), build()) == (1, 0)
    told = [(row.value, row.amount_micro, row.event_name) for row in rows(team, "adjustments")]
    assert told == ([(amount, amount, "lathe_adjustments")] if amount > 0 else [])
    assert StripeOutboxEntry.objects.count() == 1


def test_an_adjustment_waits_for_the_meter_that_an_older_subscription_lacks(team, subscribe):
    subscribe(event_names={"cpu": "lathe_cpu"})
    LedgerEntry.objects.create(
        team=team, kind="adjustment", amount_micro=5, source="adjustment:1", note="Sorry"
    )
    run_of(team)
    build()
    (row,) = rows(team, "adjustments")
    assert (row.status, row.value, row.event_name, row.period_end) == ("pending", 5, "", EPOCH)


def test_other_teams_are_left_alone(team, other_team, subscribe):
    subscribe()
    use(run_of(team), 5_000)
    use(run_of(other_team), 6_000)
    build(team.pk)
    assert (values(team), values(other_team)) == ([5], [])


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_builders_and_heartbeats_at_once_report_each_segment_once(team, subscribe):
    subscribe()
    run = run_of(team)
    errors = []

    def in_thread(work):
        def body():
            try:
                work()
            except Exception as error:
                errors.append(error)
            finally:
                connection.close()

        return threading.Thread(target=body)

    def meter():
        from billing.budgets import budget

        for _ in range(40):
            with transaction.atomic():
                budget.lock_budget(team.pk)
                use(run, 333)

    def keep_building():
        for _ in range(15):
            build(team.pk)

    threads = [in_thread(meter), *(in_thread(keep_building) for _ in range(3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    build()
    assert not errors
    assert UsageSegment.objects.count() == StripeOutboxItem.objects.count() == 40
    assert sum(values(team)) == 40 * 333 // 1000
