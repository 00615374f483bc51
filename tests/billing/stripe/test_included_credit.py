"""Credit that a plan includes: of the plan that was paid, once, and taken back as its fee is."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.credit import allowances, grants
from billing.models import CreditGrant, Plan, Subscription, WebhookEvent
from billing.stripe.catalog import sync_catalog
from billing.stripe.subscriptions import change_plan
from billing.stripe.webhooks import inbox, invoice_handlers
from billing.stripe.webhooks.dispatcher import process_due
from tests.billing.stripe.fake.tale import DOLLAR, Tale

pytestmark = pytest.mark.django_db
INCLUDED = {"basic": 5, "team": 20, "scale": 250}


@pytest.fixture
def half(tale) -> Tale:
    """Half of the period that is open now has passed for whoever subscribes first."""
    Plan.objects.create(code="basic", name="Basic", monthly_cents=900)
    sync_catalog()
    for code, dollars in INCLUDED.items():
        Plan.objects.filter(pk=code).update(included_micro=dollars * DOLLAR)
    tale.world.offset = -int(timedelta(days=15).total_seconds())
    return tale


def subscribe(tale: Tale, code: str) -> Subscription:
    row = tale.subscribe(code)
    tale.world.offset = 0
    return row


def change(tale: Tale, code: str) -> None:
    change_plan(tale.team, tale.owner, Plan.objects.get(pk=code), uuid.uuid4())
    tale.deliver()


def dollars_left(tale: Tale) -> int:
    return round(grants.credit_balance_micro(tale.team) / DOLLAR)


def pay_next_period(
    tale: Tale, row: Subscription, *, more_lines: int = 0, changed_to: str = ""
) -> int:
    """The dollars of credit that the next period's invoice brought. A plan may be changed between
    the invoice and its payment."""
    invoice = tale.world.close_period(row.stripe_id)
    line = {"amount": 1, "period": {"start": 1, "end": 2}, "metadata": {}}
    invoice["_items"] += [line | {"customer": invoice["customer"]} for _ in range(more_lines)]
    tale.world.finalize(invoice["id"])
    tale.deliver()
    if changed_to:
        change(tale, changed_to)
    tale.world.collect(invoice["id"])
    tale.deliver()
    granted: int = CreditGrant.objects.get(source=f"plan:{invoice['id']}").granted_micro
    return granted // DOLLAR


def replay_all(tale: Tale) -> None:
    for event in WebhookEvent.objects.order_by("created_at", "pk"):
        inbox.replay(event, tale.owner)
        process_due()


def test_a_subscription_that_ended_early_takes_credit_back_once(half, monkeypatch):
    row = subscribe(half, "scale")
    half.world.end_subscription(row.stripe_id)
    half.deliver()
    left = dollars_left(half)
    assert 120 < left < 130
    monkeypatch.setattr(allowances, "now", lambda: timezone.now() + timedelta(minutes=5))
    replay_all(half)
    assert dollars_left(half) == left


def test_going_up_and_down_again_takes_no_more_than_one_change_to_the_cheaper_plan(half):
    subscribe(half, "scale")
    change(half, "team")
    left = dollars_left(half)
    assert 130 < left < 140  # Half a month of each plan's.
    for code in ("scale", "team"):
        change(half, code)
    assert dollars_left(half) == left


@pytest.mark.parametrize(("before", "after"), [("basic", "team"), ("scale", "team")])
def test_the_month_after_a_change_brings_the_credit_of_the_plan_that_it_pays(half, before, after):
    row = subscribe(half, before)
    change(half, after)
    assert pay_next_period(half, row) == INCLUDED[after]


def test_an_invoice_of_many_lines_brings_the_credit_of_the_plan_that_it_pays(half):
    row = subscribe(half, "team")
    assert pay_next_period(half, row, more_lines=12, changed_to="scale") == INCLUDED["team"]


def test_a_payment_heard_of_again_after_a_change_of_plan_is_no_failure(half):
    subscribe(half, "scale")
    change(half, "team")
    left = dollars_left(half)
    replay_all(half)
    assert not WebhookEvent.objects.exclude(status__in=["done", "ignored"]).exists()
    assert dollars_left(half) == left


def test_a_change_to_a_cheaper_plan_while_its_payment_is_being_heard_of_keeps_no_credit(
    half, monkeypatch
):
    save = invoice_handlers._save_payment_problem

    def change_meanwhile(team, invoice, sentence):
        monkeypatch.setattr(invoice_handlers, "_save_payment_problem", save)
        save(team, invoice, sentence)
        change_plan(half.team, half.owner, Plan.objects.get(pk="free"), uuid.uuid4())

    monkeypatch.setattr(invoice_handlers, "_save_payment_problem", change_meanwhile)
    subscribe(half, "scale")
    assert Subscription.objects.get().plan_id == "free"
    assert dollars_left(half) == 0
