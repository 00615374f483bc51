"""Our figures against Stripe's: what differs is found, shown, and settled by looking again."""

from datetime import timedelta

import pytest

from billing import reconciling
from billing.models import (
    OperatorAlert,
    Reconciliation,
    Reported,
    StripeOutboxItem,
    Subscription,
)
from billing.outbox import build, flush, lost, report
from billing.outbox.resending import CannotResend, resend
from billing.outbox.subscribed import service_of
from billing.reconciling import reconcile
from tests.billing.outbox_facts import METERS, rows, run_of, use, values
from tests.billing.stripe_metering import EVENTS, SUMMARIES, Metered


@pytest.fixture
def run(team):
    return run_of(team)


def drifts(**facts) -> list[tuple[str, int, int]]:
    found = Reconciliation.objects.filter(**facts).order_by("pk")
    return [(row.scope, row.ours, row.theirs) for row in found]


def lose(metered: Metered, *, keep: int = 0) -> None:
    """Stripe accepted these events and did not count them."""
    del metered.world.meter_events[keep:]


def test_equal_figures_leave_no_trace(team, run, metered):
    use(run, 5_000)
    report()
    metered.wait(hours=3)
    assert (reconcile(team), drifts()) == (0, [])


def test_a_lost_event_is_found_told_and_settled_once_it_is_resent(team, alice, run, metered):
    use(run, 5_000)
    report()
    lose(metered)
    metered.wait(hours=3)
    assert reconcile(team) == 1
    assert drifts() == [("hour", 5, 0)]
    assert "we count 5 units, Stripe 0" in OperatorAlert.objects.get().sentence
    (row,) = rows(team)
    resend(row.pk, by=alice)
    flush(), flush()
    assert metered.billed() == 5
    metered.wait(hours=2)
    assert reconciling.check_again(Reconciliation.objects.get()) == 0
    assert drifts(state="settled") == [("hour", 5, 5)]


def test_what_stripe_counted_beyond_ours_is_found(team, run, metered):
    use(run, 5_000)
    report()
    metered.world.meter_events.append(metered.world.meter_events[0] | {"identifier": "another"})
    metered.wait(hours=3)
    assert (reconcile(team), drifts()) == (1, [("hour", 5, 10)])


def test_an_hour_that_is_still_being_delivered_is_not_judged(team, run, metered):
    use(run, 5_000)
    build()
    metered.wait(hours=3)
    assert (reconcile(team), drifts()) == (0, [])


def test_a_refused_row_is_a_difference(team, run, metered):
    use(run, 5_000)
    build()
    metered.server.break_next("POST", EVENTS, "refuse")
    flush()
    metered.wait(hours=3)
    assert (reconcile(team), drifts()) == (1, [("hour", 5, 0)])


def test_the_daily_comparison_goes_on_when_one_team_cannot_be_compared(
    team, other_team, run, metered
):
    use(run, 5_000)
    use(run_of(other_team), 5_000)
    report()
    lose(metered)
    metered.wait(hours=3)
    metered.server.break_next("GET", SUMMARIES, "drop-before", 3)
    assert reconciling.reconcile_all() == 1
    assert reconciling.reconcile_all() == 2


def test_a_resend_of_what_stripe_has_changes_nothing(team, alice, run, metered):
    use(run, 5_000)
    report()
    resend(rows(team)[0].pk, by=alice)
    flush()
    assert rows(team)[0].status == "unknown"  # Stripe's counts may lag: too early to ask.
    metered.wait(hours=30)
    flush()
    assert (metered.billed(), rows(team)[0].status, len(metered.calls())) == (5, "sent", 1)


def test_an_error_report_marks_its_rows_and_a_resend_gets_a_new_identifier(
    team, alice, run, metered
):
    use(run, 5_000)
    report()
    (row,) = rows(team)
    assert lost(["nobody:knows:1", row.identifier], "meter_event_customer_not_found") == 1
    row.refresh_from_db()
    assert (row.status, row.last_error) == ("dead", "meter_event_customer_not_found")
    metered.world.meter_events[0]["timestamp"] = 0  # Remembered by its identifier, not counted.
    metered.wait(hours=2)
    resend(row.pk, by=alice)
    flush(), flush()
    row.refresh_from_db()
    assert [params["identifier"] for params in metered.calls()] == [
        row.identifier, f"{row.identifier}:1",
    ]  # fmt: skip
    assert row.status == "sent"


def test_what_only_our_ledger_bills_is_not_resent(team, alice, run):
    use(run, 5_000)
    build()
    with pytest.raises(CannotResend, match="ledger alone"):
        resend(rows(team)[0].pk, by=alice)


def test_usage_that_the_builder_passed_over_is_found_and_taken_in(team, run, metered):
    first, second = use(run, 5_000), use(run, 3_000)
    Reported.objects.create(team=team, meter="cpu", unit=1000, upto_segment=second.pk)
    assert (build(), reconcile(team)) == (0, 1)
    assert drifts() == [("missing", 8, 0)]
    assert (report(), metered.billed()) == (1, 8)
    assert reconciling.check_again(Reconciliation.objects.get()) == 0
    assert StripeOutboxItem.objects.filter(segment__in=[first, second]).count() == 2


# --- A whole subscription -----------------------------------------------------------------------


def test_the_service_is_read_from_the_subscription(team, metered):
    stripe_id = metered.subscribe(team)
    service = service_of(team.pk)
    assert (service.subscription, service.event_names) == (stripe_id, METERS)
    assert service.customer == metered.customer_of(team.pk)
    Subscription.objects.update(status="incomplete")
    assert not service_of(team.pk).is_decided
    Subscription.objects.update(status="incomplete_expired")
    assert service_of(team.pk) is None


def test_usage_waits_while_the_first_payment_is_open(team, run, metered):
    metered.subscribe(team)
    Subscription.objects.update(status="incomplete", created_at=metered.now() - timedelta(hours=1))
    use(run, 5_000)
    metered.wait(minutes=2)
    assert (build(), values(team)) == (0, [])
    Subscription.objects.update(status="active")
    assert (build(), values(team, status="pending")) == (1, [5])


def test_an_invoice_bills_the_whole_seconds_of_its_period_and_agrees(team, run, metered):
    use(run, 9_000, metered.now() - timedelta(days=1))
    build()
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_777_700, metered.now())
    report()
    invoice_id = metered.close_period(stripe_id)
    use(run, 1_500, metered.now() - timedelta(seconds=2))  # Just before the end, built after it.
    use(run, 60_000, metered.now() + timedelta(seconds=1))
    metered.wait(minutes=2)
    report()
    metered.world.finalize(invoice_id)
    metered.read(team, stripe_id)
    metered.wait(hours=3)
    lines = {
        line["quantity"]: line["amount"]
        for line in metered.world.get("invoice", invoice_id)["lines"]["data"]
    }
    assert lines == {7_779: 16, 0: 0}  # $0.15558; the nine seconds before are not Stripe's.
    assert (reconcile(team, invoice_id), drifts(state="open")) == (0, [])


def test_an_invoice_that_missed_usage_is_a_difference_in_quantity_and_cents(team, run, metered):
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_777_000, metered.now())
    report()
    lose(metered)
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    reconcile(team, invoice_id)
    assert drifts(invoice=invoice_id) == [("quantity", 7_777, 0), ("amount", 16, 0)]
    assert reconciling.check_again(Reconciliation.objects.filter(scope="amount").get()) == 2


def test_rounding_of_a_line_by_a_cent_is_recorded_and_alarms_nobody(team, run, metered):
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_777_000, metered.now())
    report()
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    for line in metered.world.get("invoice", invoice_id)["lines"]["data"]:
        line["amount"] += 1 if line["quantity"] else 0
    assert reconcile(team, invoice_id) == 0
    assert drifts(state="settled") == [("amount", 16, 17)]
    assert not OperatorAlert.objects.exists()


def test_usage_without_a_line_on_the_invoice_is_a_difference(team, run, metered):
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_000, metered.now())
    report()
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    metered.world.get("invoice", invoice_id)["lines"]["data"].clear()
    assert reconcile(team, invoice_id) == 1
    assert drifts(invoice=invoice_id) == [("quantity", 7, 0)]


def test_the_cents_of_a_line_are_made_good_on_the_next_invoice_once(team, alice, run, metered):
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_777_000, metered.now())
    report()
    lose(metered)
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    metered.read(team, stripe_id)
    reconcile(team, invoice_id)
    quantity, amount = Reconciliation.objects.filter(invoice=invoice_id)
    assert reconciling.carry(amount, by=alice).amount_micro == 160_000
    for row in (quantity, amount):
        with pytest.raises(reconciling.CannotCarry):
            reconciling.carry(row, by=alice)
    flush()
    assert metered.charged_cents() == 16
    assert reconciling.check_again(amount) == 1  # The quantity: an invoice never changes again.
    amount.refresh_from_db()
    assert amount.state == "carried"


def test_without_a_next_invoice_nothing_is_put_on_it(team, alice, metered):
    moment = metered.now()
    row = Reconciliation.objects.create(
        team=team, meter="cpu", scope="amount", starts_at=moment, ends_at=moment, ours=2, theirs=0,
        invoice="in_1",
    )  # fmt: skip
    with pytest.raises(reconciling.CannotCarry, match="no subscription"):
        reconciling.carry(row, by=alice)
