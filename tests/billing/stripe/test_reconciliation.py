"""Our figures against Stripe's: what differs is found, shown, and settled by looking again."""

from datetime import timedelta

import pytest

from billing.models import (
    MeterProgress,
    OperatorAlert,
    Reconciliation,
    StripeOutbox,
    StripeOutboxItem,
    Subscription,
)
from billing.stripe import reconciliation
from billing.stripe.reconciliation import reconcile, reconcile_all
from billing.stripe.usage_outbox import build, flush, mark_lost, report_usage
from billing.stripe.usage_outbox.claims import CannotResend, resend
from billing.stripe.usage_outbox.rows import find_metered_subscription
from tests.billing.stripe.fake.metering import Metered
from tests.billing.stripe.usage_outbox.outbox_facts import METERS, rows, run_of, use, values


@pytest.fixture
def run(team):
    return run_of(team)


def drifts(**facts) -> list[tuple[str, int, int]]:
    found = Reconciliation.objects.filter(**facts).order_by("pk")
    return [(row.scope, row.ours, row.theirs) for row in found]


def lose(metered: Metered, *, keep: int = 0) -> None:
    """Stripe accepted these events and did not count them."""
    del metered.world.meter_events[keep:]


def test_a_resend_of_what_stripe_has_changes_nothing(team, alice, run, metered):
    use(run, 5_000)
    report_usage()
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
    report_usage()
    (row,) = rows(team)
    assert mark_lost(["nobody:knows:1", row.identifier], "meter_event_customer_not_found") == 1
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


def test_what_went_with_a_later_row_is_not_resent(team, alice, run, metered):
    use(run, 5_000)
    build()
    StripeOutbox.objects.update(status="moved", reference="the:later:row")
    with pytest.raises(CannotResend, match="the:later:row"):
        resend(rows(team)[0].pk, by=alice)


def test_usage_that_the_builder_passed_over_is_found_and_taken_in(team, run, metered):
    first, second = use(run, 5_000), use(run, 3_000)
    MeterProgress.objects.create(team=team, meter="cpu", unit=1000, upto_segment=second.pk)
    assert (build(), reconcile_all()) == (0, 0)
    assert (report_usage(), metered.billed()) == (1, 8)
    assert StripeOutboxItem.objects.filter(segment__in=[first, second]).count() == 2


# --- A whole subscription -----------------------------------------------------------------------


def test_the_service_is_read_from_the_subscription(team, metered):
    stripe_id = metered.subscribe(team)
    service = find_metered_subscription(team.pk)
    assert (service.row.stripe_id, service.event_names) == (stripe_id, METERS)
    assert service.row.customer_id == metered.customer_of(team.pk)
    Subscription.objects.update(status="incomplete_expired")
    assert find_metered_subscription(team.pk) is None


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
    report_usage()
    invoice_id = metered.close_period(stripe_id)
    use(run, 1_500, metered.now() - timedelta(seconds=2))  # Just before the end, built after it.
    use(run, 60_000, metered.now() + timedelta(seconds=1))
    metered.wait(minutes=2)
    report_usage()
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
    report_usage()
    lose(metered)
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    reconcile(team, invoice_id)
    assert drifts(invoice=invoice_id) == [("quantity", 7_777, 0), ("amount", 16, 0)]
    assert reconciliation.recheck(Reconciliation.objects.filter(scope="amount").get()) == 2


def test_rounding_of_a_line_by_a_cent_is_recorded_and_alarms_nobody(team, run, metered):
    stripe_id = metered.subscribe(team)
    metered.wait(hours=1)
    use(run, 7_777_000, metered.now())
    report_usage()
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
    report_usage()
    invoice_id = metered.close_period(stripe_id)
    metered.world.finalize(invoice_id)
    metered.world.get("invoice", invoice_id)["_lines"].clear()
    assert reconcile(team, invoice_id) == 1
    assert drifts(invoice=invoice_id) == [("quantity", 7, 0)]
