"""Our plans and rates as Stripe's catalog."""

import pytest
from django.core.management import CommandError, call_command

from billing.models import Meter, Plan, Rate
from billing.rates import supersede
from billing.stripe.catalog import sync_catalog

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


def test_the_command_says_what_it_did(stripe_server, capsys):
    call_command("sync_stripe_catalog")
    assert "Made price" in capsys.readouterr().out
    call_command("sync_stripe_catalog")
    assert "as it should be" in capsys.readouterr().out


def test_without_a_key_the_command_says_so():
    with pytest.raises(CommandError, match="keeps its own ledger"):
        call_command("sync_stripe_catalog")
