"""What is used around the beginning and the end of a subscription is billed once."""

import pytest

from billing.credit.invoice_periods import FORGIVEN
from billing.models import (
    Budget,
    LedgerEntry,
    OperatorAlert,
    Plan,
    StripeOutbox,
    StripeOutboxEntry,
    Subscription,
)
from billing.stripe import reconciliation
from billing.stripe.account import get_or_create_customer_id
from billing.stripe.subscriptions import metered_prices
from tests.billing.stripe.fake.endpoints import Call, delete_customer
from tests.billing.stripe.fake.tale import DOLLAR, Tale

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def subscribe_by_hand(tale: Tale, *, with_meters: bool = True) -> None:
    """Somebody makes a subscription in Stripe's dashboard; its messages are on the way."""
    lines = [{"price": Plan.objects.get(pk="team").stripe_price_id, "quantity": 1}]
    lines += [{"price": price} for price in metered_prices() if with_meters]
    session = tale.world.new(
        "checkout.session", "cs", mode="subscription", status="open", amount_total=0,
        customer=get_or_create_customer_id(tale.team), _lines=lines, _subscription_metadata={},
    )  # fmt: skip
    tale.world.pay(session["id"])


def end_now(tale: Tale) -> None:
    """At Stripe; its message is on the way."""
    tale.world.end_subscription(Subscription.objects.get().stripe_id)


def assert_charged_with_the_next(tale: Tale, dollars: int) -> None:
    tale.pass_time(days=1)
    tale.subscribe("free", times=2)
    tale.pass_time(minutes=10)  # Each row of a meter has a minute of its own.
    tale.assert_sides_agree(dollars)
    tale.close()
    tale.assert_sides_agree(dollars)
    reconciliation.reconcile_all()
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


@pytest.mark.parametrize("is_reported", [True, False])
@pytest.mark.parametrize("charges", [1, 5])
def test_charges_for_which_an_ended_subscription_has_no_minute_are_charged_with_the_next(
    tale, charges, is_reported
):
    """A row has a minute of its own, and a subscription of two minutes has one whole one."""
    tale.world.offset -= tale.world.now() % 60 - 30
    tale.subscribe("free")
    if charges > 1:
        tale.pass_time(seconds=70)
    for _ in range(charges):
        tale.adjust(1)
    tale.pass_time(seconds=15)
    end_now(tale)
    tale.pass_time(minutes=3)
    tale.deliver()
    if is_reported:
        tale.report()
    entries = LedgerEntry.objects.filter(kind="adjustment")
    assert StripeOutboxEntry.objects.count() == entries.count() == charges
    assert not StripeOutbox.objects.filter(status="local").exists()
    assert_charged_with_the_next(tale, charges)


@pytest.mark.parametrize("end", ["at once", "period"])
@pytest.mark.parametrize("is_reported", [True, False])
def test_what_is_used_before_we_hear_of_the_end_is_charged_with_the_next(
    tale, end, is_reported, client_of
):
    tale.subscribe("free")
    tale.use(3)
    tale.report()
    if end == "period":
        stripe_id = Subscription.objects.get().stripe_id
        tale.world.get("subscription", stripe_id)["cancel_at_period_end"] = True
        last = tale.world.close_period(stripe_id)
    end_now(tale)
    tale.use(4)
    tale.adjust(2)
    if is_reported:
        tale.report()
    tale.deliver()
    if end == "period":
        tale.pass_time(hours=1)
        tale.world.finalize(last["id"])
        tale.deliver()
    reconciliation.reconcile_all()
    alert = OperatorAlert.objects.get(key=f"waiting:{tale.team.pk}", settled_at=None)
    amount = "$6.00" if end == "period" else "$9.00"
    page = client_of(tale.owner).get(f"/teams/{tale.team.slug}/plan/").content.decode()
    assert (amount in alert.sentence, f"holds {amount} of usage" in page) == (True, True)
    assert_charged_with_the_next(tale, 9)


@pytest.mark.parametrize("backwards", [True, False])
def test_what_was_used_until_another_subscription_takes_over_is_charged_once(tale, backwards):
    tale.subscribe("free")
    tale.use(3)
    end_now(tale)
    tale.use(4)
    subscribe_by_hand(tale)
    tale.deliver(backwards=backwards)
    tale.pass_time(minutes=10)
    tale.assert_sides_agree(7)
    tale.close()
    tale.assert_sides_agree(7)


def test_a_subscription_that_was_made_without_meters_charges_what_is_used(tale):
    subscribe_by_hand(tale, with_meters=False)
    tale.server.break_next("POST", "/v1/subscriptions/", "refuse")
    tale.deliver()
    tale.use(5)
    tale.report()
    tale.adjust(2)
    assert not StripeOutbox.objects.filter(status="local").exists()
    tale.world.happened(
        "customer.subscription.updated",
        tale.world.get("subscription", Subscription.objects.get().stripe_id),
    )
    tale.deliver()
    tale.use(1)
    tale.assert_sides_agree(8)
    tale.close()
    tale.assert_sides_agree(8)


def test_credit_used_before_we_hear_of_a_subscription_stays_used(tale):
    tale.pay_top_up(2_000)
    subscribe_by_hand(tale)
    tale.use(5)
    tale.report()
    tale.deliver()
    tale.assert_sides_agree(0)
    tale.use(16)
    tale.close()
    tale.assert_sides_agree(1)
    assert reconciliation.reconcile(tale.team) == 0


@pytest.mark.parametrize("credit_dollars", [0, 4, 20])
def test_a_voided_invoice_is_owed_by_nobody_and_gives_its_credit_back(tale, credit_dollars):
    tale.subscribe("free")
    if credit_dollars:
        tale.pay_top_up(credit_dollars * 100)
    tale.use(10)
    invoice_id = tale.close(is_paid=False)
    tale.use(3)
    tale.assert_sides_agree(max(0, 13 - credit_dollars))
    spent = Budget.objects.get(pk=tale.team.pk).spent_micro
    tale.world.void(invoice_id)
    tale.deliver(times=2)
    budget = Budget.objects.get(pk=tale.team.pk)
    # What nobody owes is not held against the cap either, and no month that is over changes.
    assert spent - budget.spent_micro == max(0, 10 - credit_dollars) * DOLLAR
    forgiven = LedgerEntry.objects.filter(source__startswith=FORGIVEN)
    assert all(entry.occurred_at >= budget.period_start for entry in forgiven)
    due = max(0, 3 - credit_dollars)
    tale.assert_sides_agree(due)
    reconciliation.reconcile_all()
    assert not OperatorAlert.objects.filter(settled_at=None).exists()
    tale.close()
    tale.assert_sides_agree(due)
    tale.use(20)
    tale.assert_sides_agree(max(due, 23 - credit_dollars))


@pytest.mark.parametrize("is_voided", [True, False])
@pytest.mark.parametrize("credit_dollars", [0, 7, 20])
def test_a_coupon_takes_as_much_off_our_statement_as_off_the_invoice(
    tale, credit_dollars, is_voided
):
    """Somebody gives it in Stripe's dashboard: half of an invoice of ten dollars."""
    tale.subscribe("free")
    if credit_dollars:
        tale.pay_top_up(credit_dollars * 100)
    tale.use(10)
    tale.report()
    invoice = tale.world.close_period(Subscription.objects.get().stripe_id)
    invoice["_percent_off"] = 50
    tale.deliver()
    tale.pass_time(hours=1)
    tale.world.finalize(invoice["id"])
    tale.deliver(times=2)
    left = credit_dollars - min(5, credit_dollars)
    tale.assert_sides_agree(5 - credit_dollars + left)
    assert (tale.credit_at_stripe(), reconciliation.reconcile_all()) == (left * 100, 0)
    if is_voided:
        tale.world.void(invoice["id"])
        tale.deliver(times=2)
        tale.assert_sides_agree(0)
        assert (tale.credit_at_stripe(), reconciliation.reconcile_all()) == (
            credit_dollars * 100,
            0,
        )
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


def test_what_was_used_until_we_hear_that_a_customer_is_gone_is_charged_with_the_next(tale):
    tale.subscribe("free")
    tale.use(3)
    tale.report()
    tale.use(1)
    delete_customer(tale.world, Call("DELETE", "", {}), Subscription.objects.get().customer_id)
    tale.use(2)
    tale.deliver(backwards=True)  # First that it is gone, then that its subscription ended.
    tale.server.refusals.clear()
    OperatorAlert.objects.update(settled_at=tale.now())
    assert_charged_with_the_next(tale, 6)


def test_an_old_payment_that_is_heard_of_again_leaves_a_new_problem_shown(tale):
    tale.subscribe("free")
    paid = tale.close()
    tale.close(is_paid=False)
    assert Subscription.objects.get().payment_problem
    tale.world.happened("invoice.paid", tale.world.get("invoice", paid))  # Weeks later, replayed.
    tale.deliver()
    assert Subscription.objects.get().payment_problem
