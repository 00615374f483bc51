"""Credit that a plan includes: of the plan that was paid, once, and taken back as its fee is."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.credit import allowances, grants
from billing.models import Plan, Subscription, WebhookEvent
from billing.stripe.catalog import sync_catalog
from billing.stripe.subscriptions import change_plan
from billing.stripe.webhooks import inbox
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
