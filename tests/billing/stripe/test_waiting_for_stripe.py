"""Whoever waits for Stripe's answer keeps nobody else waiting: no row is locked meanwhile."""

import uuid

import pytest
from django.db import connection

from billing.models import Plan, StripeCustomer, Subscription
from billing.stripe import account, gateway, reconciliation, top_ups
from billing.stripe.doctor import keep_catalog, run_checks
from billing.stripe.subscriptions import (
    cancel_at_period_end,
    change_plan,
    open_portal,
    preview_next_invoice,
    undo_cancellation,
)
from billing.stripe.webhooks import inbox
from tests.billing.stripe.fake.server import LIVE_KEY
from tests.billing.stripe.fake.story import THIN_SECRET, B
from tests.billing.stripe.usage_outbox.outbox_facts import run_of, use

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.slow,
]


def test_no_transaction_is_open_while_stripe_is_asked(story, monkeypatch, settings):
    asked, client = list[str](), gateway._client

    def watched_client():
        account._account_of.cache_clear()  # Every process asks once; here every call may be first.
        asked.append("within a transaction" if connection.in_atomic_block else "")
        assert not connection.in_atomic_block, "Stripe is asked while rows are locked"
        return client()

    monkeypatch.setattr(gateway, "_client", watched_client)
    row = story.pay_top_up(2_000)
    subscription = story.subscribe("team")
    use(run_of(story.team), 5_000)
    story.world.refund(row.payment_intent, 500)
    dispute = story.world.dispute(row.payment_intent)
    story.deliver()
    story.world.close_dispute(dispute["id"], "won")
    story.deliver()
    for code in ("scale", "free", "team"):
        change_plan(story.team, story.owner, Plan.objects.get(pk=code), uuid.uuid4())
    cancel_at_period_end(story.team, story.owner, uuid.uuid4())
    undo_cancellation(story.team, story.owner, uuid.uuid4())
    assert preview_next_invoice(story.team)
    assert open_portal(story.team, story.owner)
    for is_paid in (True, False):
        draft = story.world.close_period(subscription.stripe_id)
        story.deliver()
        story.world.finalize(draft["id"])
        story.world.collect(draft["id"], succeeds=is_paid)
        story.deliver()
    assert story.post(story.world.meter_error(["a:b:1"]), path=B, secret=THIN_SECRET) == 200
    inbox.fetch_missed_events()
    story.world.end_subscription(subscription.stripe_id)
    customer = story.world.get("customer", StripeCustomer.objects.get().customer_id)
    story.world.happened("customer.deleted", customer)
    customer["deleted"] = True
    story.deliver()
    story.subscribe("team")
    reconciliation.reconcile_all()
    keep_catalog()
    assert list(run_checks())
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    account.adopt_account()
    assert not Subscription.objects.exists()
    top_ups.start_top_up_checkout(story.team, story.owner, 1_000, uuid.uuid4())
    assert len(asked) > 100
