"""Our plans and rates as Stripe's catalog."""

import pytest
from celery import current_app
from django.core.management import CommandError, call_command

from billing.models import Meter, OperatorAlert, Plan, Rate, Subscription
from billing.pricing import supersede
from billing.stripe.catalog import sync_catalog
from billing.stripe.doctor import keep_catalog
from tests.billing.stripe.fake.server import LIVE_KEY

pytestmark = pytest.mark.django_db


def test_a_second_run_changes_nothing(stripe_server):
    assert sync_catalog()
    world = stripe_server.world
    before = {kind: set(things) for kind, things in world.things.items()}
    assert sync_catalog() == []
    assert {kind: set(things) for kind, things in world.things.items()} == before
    fees = Plan.objects.filter(monthly_cents__gt=0).count()
    assert len(world.kind("price")) == Rate.objects.in_force().count() + fees
    assert Plan.objects.get(pk="free").stripe_price_id == ""
    assert all(plan.stripe_price_id for plan in Plan.objects.filter(monthly_cents__gt=0))


def test_rates_are_exact_and_metered(stripe_server):
    sync_catalog()
    rate = Rate.objects.current("inference-tokens")
    price = stripe_server.world.get("price", rate.stripe_price_id)
    assert price["unit_amount_decimal"] == "0.000002"  # 20 nano-USD: $0.02 per million tokens.
    meter = Meter.objects.get(sku="inference-tokens")
    assert price["recurring"]["meter"] == meter.meter_id
    assert meter.event_name == "lathe_inference_tokens"


def test_another_fee_is_a_new_price_under_the_same_key(stripe_server):
    sync_catalog()
    old = Plan.objects.get(pk="team").stripe_price_id
    Plan.objects.filter(pk="team").update(monthly_cents=5_900)
    supersede("gpu", 800_000)
    assert len(sync_catalog()) == 2
    plan, prices = Plan.objects.get(pk="team"), stripe_server.world.kind("price")
    assert plan.stripe_price_id != old
    assert prices[old]["lookup_key"] is None
    assert prices[old]["unit_amount"] == 4_900
    assert prices[plan.stripe_price_id]["lookup_key"] == "lathe_plan_team"
    assert prices[Rate.objects.current("gpu").stripe_price_id]["unit_amount_decimal"] == "0.08"
    assert sync_catalog() == []


@pytest.mark.parametrize("fault", ["500-after", "500-before", "drop-after"])
@pytest.mark.parametrize("path", ["/v1/products", "/v1/prices", "/v1/billing/meters"])
def test_a_failure_on_the_way_makes_nothing_twice(stripe_server, fault, path):
    stripe_server.break_next("POST", f"{path}$", fault)
    sync_catalog()
    world = stripe_server.world
    rates = Rate.objects.in_force().count()
    fees = Plan.objects.filter(monthly_cents__gt=0).count()
    assert len(world.kind("billing.meter")) == rates
    assert len(world.kind("product")) == len(world.kind("price")) == rates + fees
    assert sync_catalog() == []


# --- Without anybody's doing ---------------------------------------------------------------------


def test_a_new_rate_and_a_changed_fee_reach_stripe_and_running_subscriptions(story):
    story.subscribe("team")
    supersede("gpu-new", 900_000)
    Plan.objects.filter(pk="scale").update(monthly_cents=51_100)
    assert keep_catalog() == 4  # A meter, product and price of the rate; the fee's price.
    price = Rate.objects.current("gpu-new").stripe_price_id
    assert price in Subscription.objects.get().metered_items
    fee = Plan.objects.get(pk="scale").stripe_price_id
    assert story.world.get("price", fee)["unit_amount"] == 51_100
    assert keep_catalog() == 0


def test_the_clock_and_a_new_rate_ask_for_it(monkeypatch):
    sent: list[str] = []
    monkeypatch.setattr("billing.pricing.enqueue_on_commit", sent.append)
    supersede("cpu", 30_000)
    entries = current_app.conf.beat_schedule.values()
    assert sent == ["billing.tasks.keep_catalog"]
    assert sent[0] in {entry["task"] for entry in entries}


@pytest.mark.slow
def test_another_account_is_told_and_nothing_is_put_aside_unasked(story, settings):
    story.subscribe("team")
    settings.STRIPE_SECRET_KEY = LIVE_KEY
    assert keep_catalog() == 0
    assert Subscription.objects.exists()
    alert = OperatorAlert.objects.get(settled_at=None)
    assert "another account" in alert.sentence
    assert "sync_stripe_catalog" in alert.sentence
    sync_catalog()
    keep_catalog()
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


def test_a_catalog_that_cannot_be_written_is_an_alert_until_it_can(stripe_server):
    stripe_server.break_next("POST", "/v1/prices$", "refuse")
    assert keep_catalog() == 0
    assert "catalog" in OperatorAlert.objects.get(settled_at=None).sentence
    assert keep_catalog()
    assert not OperatorAlert.objects.filter(settled_at=None).exists()


def test_the_command_says_what_it_did(stripe_server, capsys):
    call_command("sync_stripe_catalog")
    assert "Made price" in capsys.readouterr().out
    call_command("sync_stripe_catalog")
    assert "as it should be" in capsys.readouterr().out


def test_without_a_key_the_command_says_so():
    with pytest.raises(CommandError, match="keeps its own ledger"):
        call_command("sync_stripe_catalog")
