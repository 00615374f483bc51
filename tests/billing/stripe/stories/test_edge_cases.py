"""Paths that are rare at Stripe: messages late, refusals, races, an operator's hand."""

import uuid

import pytest

from billing.credit import grants
from billing.ledger.corrections import refund_part
from billing.models import (
    OperatorAlert,
    StripeInvoice,
    StripeOutbox,
    Subscription,
    WebhookEvent,
)
from billing.pricing import supersede
from billing.stripe import credit, reconciliation
from billing.stripe.doctor import keep_catalog
from billing.stripe.sync import refresh_subscription
from billing.stripe.usage_outbox import claims
from tests.billing.stripe.usage_outbox.outbox_facts import run_of

pytestmark = pytest.mark.django_db
DOLLAR = 1_000_000


def give(tale, dollars: int) -> None:
    grants.grant(
        tale.team, dollars * DOLLAR, kind="promo", source=f"test:{uuid.uuid4()}", note="A gift"
    )


def test_use_at_an_old_rate_while_nobody_heard_of_the_new_period_is_charged_as_used(tale):
    """The message moves the lines to today's prices: what they count by then is charged so."""
    tale.subscribe("free")
    before = run_of(tale.team)
    tale.use(1, of=before)
    supersede("cpu", 40_000)
    keep_catalog()
    tale.report()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    tale.use(10, of=before)  # It began at half of today's rate.
    tale.report()
    tale.deliver()
    tale.pass_time(hours=1)
    tale.world.finalize(invoice["id"])
    tale.world.collect(invoice["id"])
    tale.deliver()
    tale.assert_sides_agree(11)
    tale.close()
    tale.assert_sides_agree(11)


def test_a_rate_that_changes_before_the_new_period_is_heard_of_is_charged_as_used(tale):
    tale.subscribe("free")
    tale.use(1)
    tale.report()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    tale.use(10)
    tale.report()
    supersede("cpu", 40_000)
    keep_catalog()
    tale.deliver()
    tale.use(2)
    tale.pass_time(hours=1)
    tale.world.finalize(invoice["id"])
    tale.world.collect(invoice["id"])
    tale.deliver()
    tale.assert_sides_agree(15)  # $2 of the old rate are $4 now.
    tale.close()
    tale.assert_sides_agree(15)


def test_two_mirrors_at_once_make_each_grant_under_a_key_of_its_own(tale, monkeypatch):
    """The second has read the customer's row before the first made a grant."""
    tale.subscribe("free")
    give(tale, 4)
    read, once = credit.try_advisory_lock, [True]

    def wait_for_the_first(name):
        if once.pop() if once else False:
            credit.mirror_credit(tale.team)  # The first, with the same row.
            grants.grant(tale.team, 4 * DOLLAR, kind="promo", source="test:2", note="A gift")
        return read(name)

    monkeypatch.setattr(credit, "try_advisory_lock", wait_for_the_first)
    credit.mirror_credit(tale.team)
    assert tale.credit_at_stripe() == 800
    credit.mirror_due()
    assert tale.credit_at_stripe() == 800


def test_a_clock_that_is_ahead_of_stripes_delays_usage_and_loses_none(tale, monkeypatch):
    tale.subscribe("free")
    tale.use(3)
    theirs = tale.world.now
    monkeypatch.setattr(tale.world, "now", lambda: theirs() - 900)
    tale.report()
    assert StripeOutbox.objects.undelivered().count() == 1
    assert not tale.world.meter_events
    monkeypatch.setattr(tale.world, "now", theirs)
    tale.server.refusals.clear()
    tale.assert_sides_agree(3)
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


def test_a_line_that_an_operator_adds_is_not_taken_for_the_plans_fee(tale):
    row = tale.subscribe("team")
    held = tale.world.get("subscription", row.stripe_id)
    product = tale.world.new("product", "prod", name="Support by phone", active=True)
    price = tale.world.new(
        "price", "price", product=product["id"], currency="usd", active=True, lookup_key=None,
        unit_amount=9_900, unit_amount_decimal="9900", type="recurring",
        recurring={"interval": "month", "interval_count": 1, "usage_type": "licensed",
                   "meter": None},
    )  # fmt: skip
    first = held["items"]["data"][0]
    start, end = first["current_period_start"], first["current_period_end"]
    tale.world.add_item(held, {"price": price["id"], "quantity": 1}, start, end)
    held["items"]["data"].insert(0, held["items"]["data"].pop())
    after = refresh_subscription(row.stripe_id)
    assert (after.plan_id, after.plan_item_id) == ("team", row.plan_item_id)


def test_a_draft_that_an_operator_deletes_leaves_no_invoice_and_no_alert(tale):
    """Only drafts outside subscriptions can be deleted."""
    customer = tale.subscribe("free").customer_id
    heard = tale.world.draft(customer, "manual", tale.world.now(), tale.world.now())
    tale.world.price(heard)
    tale.world.happened("invoice.created", heard)
    tale.deliver()
    assert StripeInvoice.objects.filter(pk=heard["id"]).exists()
    late = tale.world.draft(customer, "manual", tale.world.now(), tale.world.now())
    tale.world.price(late)
    tale.world.happened("invoice.created", late)
    for invoice in (heard, late):
        del tale.world.kind("invoice")[invoice["id"]]
        tale.world.happened("invoice.deleted", invoice)
    tale.deliver(times=2)
    assert not StripeInvoice.objects.filter(pk__in=[heard["id"], late["id"]]).exists()
    assert not WebhookEvent.objects.filter(status="waiting").exists()
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


@pytest.mark.parametrize("is_covered", [True, False])
def test_a_refund_of_use_after_the_end_leaves_the_last_invoice_as_it_is(
    tale, monkeypatch, is_covered
):
    """Our ledger alone bills it. The last invoice is a draft for an hour after the end."""
    tale.begin(monkeypatch, days_ago=31)
    stripe_id = tale.subscribe("free").stripe_id
    of_the_period, after_it = run_of(tale.team), run_of(tale.team)
    tale.use(5, of=of_the_period)
    tale.world.get("subscription", stripe_id)["cancel_at_period_end"] = True
    last = tale.world.close_period(stripe_id)
    tale.world.end_subscription(stripe_id)
    tale.deliver()
    tale.report()
    if is_covered:
        grants.grant(tale.team, 15 * DOLLAR, kind="promo", source="test", note="A gift")
        credit.mirror_due()
    tale.use(10, of=after_it)
    tale.deliver()
    give_back(after_it, 6)
    tale.deliver()
    assert tale.statements_cents() == (0 if is_covered else 900)
    give_back(of_the_period, 1)
    tale.deliver()
    tale.pass_time(hours=1)
    tale.world.finalize(last["id"])
    tale.deliver()
    invoice = tale.world.get("invoice", last["id"])
    assert invoice["total"] == (0 if is_covered else 400)
    assert tale.statements_cents() == (0 if is_covered else 800)


def give_back(run, dollars: int) -> None:
    refund_part(run.source, "Sorry", request_id=uuid.uuid4(), amount_micro=dollars * DOLLAR)


def test_what_stripe_refused_is_tried_again_every_night_and_settles_its_alert(tale):
    tale.subscribe("free")
    tale.use(3)
    tale.server.break_next("POST", "/v1/billing/meter_events$", "refuse")
    tale.report()
    row = StripeOutbox.objects.get()
    assert row.status == "dead"
    assert OperatorAlert.objects.filter(key=f"outbox:{row}", settled_at=None).exists()
    reconciliation.reconcile_all()
    tale.server.refusals.clear()
    tale.assert_sides_agree(3)
    assert not OperatorAlert.objects.filter(key=f"outbox:{row}", settled_at=None).exists()


def test_what_stripe_refused_until_its_invoice_was_final_goes_on_the_next(tale):
    tale.subscribe("free")
    tale.use(3)
    tale.server.break_next("POST", "/v1/billing/meter_events$", "refuse")
    tale.report()
    tale.close()
    assert (tale.statements_cents(), tale.charged_cents()) == (300, 0)
    reconciliation.reconcile_all()
    tale.server.refusals.clear()
    tale.assert_sides_agree(3)
    tale.close()
    tale.assert_sides_agree(3)


def test_usage_that_stripe_took_and_lost_waits_for_a_person(tale):
    tale.subscribe("free")
    tale.use(3)
    tale.report()
    claims.mark_lost([StripeOutbox.objects.get().identifier], "lost")
    reconciliation.reconcile_all()
    assert StripeOutbox.objects.get().status == "dead"


def test_a_refund_of_what_an_adjustment_gave_back_already_returns_no_credit_twice(tale):
    """An operator gives back by hand, and later the whole run's cost."""
    tale.subscribe("free")
    give(tale, 5)
    run = run_of(tale.team)
    tale.use(5, of=run)
    tale.adjust(-2)
    give_back(run, 5)
    assert grants.credit_balance_micro(tale.team) == 7 * DOLLAR
    tale.assert_sides_agree(0)
    tale.use(9)
    tale.assert_sides_agree(2)
    tale.close()
    tale.assert_sides_agree(2)


def test_a_refund_covers_what_the_open_period_still_owes_before_it_is_credit(tale):
    """Stripe takes all credit off the whole period, too."""
    tale.subscribe("free")
    give(tale, 10)
    run = run_of(tale.team)
    tale.use(9, of=run)
    tale.use(4)
    give_back(run, 2)
    tale.assert_sides_agree(1)
    give_back(run, 3)
    assert grants.credit_balance_micro(tale.team) == 2 * DOLLAR
    tale.assert_sides_agree(0)
    tale.close()
    tale.assert_sides_agree(0)
    tale.use(3)
    tale.assert_sides_agree(1)
