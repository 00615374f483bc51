"""Making Stripe's catalog say what our plans and rates say. Run it as often as you like.

A price is never edited: another amount is a new price that takes over the lookup key.
"""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.timezone import now

from billing import stripe_gateway as gateway
from billing.catalog import (
    cents_per_unit,
    meter_event_name,
    plan_lookup_key,
    plan_product_id,
    rate_lookup_key,
    rate_product_id,
)
from billing.models import Meter, Plan, Rate
from billing.persisting import make_once
from billing.pricing import NAMES, PER_MILLION_UNITS
from billing.stripe_facts import MeterFacts, PriceFacts


def sync() -> list[str]:
    """Create what is missing or differs; returns a sentence for each thing made."""
    plans = list(Plan.objects.filter(monthly_cents__gt=0).order_by("order"))
    rates = list(Rate.objects.filter(valid__contains=now()).order_by("sku"))
    keys = [plan_lookup_key(plan) for plan in plans] + [rate_lookup_key(r.sku) for r in rates]
    prices = gateway.prices_by_lookup_key(keys)
    done: list[str] = []
    for plan in plans:
        done += _sync_plan(plan, prices.get(plan_lookup_key(plan)))
    meters = {meter.event_name: meter for meter in gateway.meters() if meter.is_active}
    for rate in rates:
        done += _sync_rate(rate, prices.get(rate_lookup_key(rate.sku)), meters)
    return done


def _sync_plan(plan: Plan, price: PriceFacts | None) -> list[str]:
    done = _ensure_product(plan_product_id(plan), f"{plan.name} plan")
    if price is None or price.cents != plan.monthly_cents:
        params = {"unit_amount": plan.monthly_cents, "recurring": {"interval": "month"}}
        price = _new_price(plan_lookup_key(plan), plan_product_id(plan), params, replaces=price)
        done.append(f"Made price {price.id} for the {plan.name} plan: {plan.monthly_cents} cents.")
    Plan.objects.filter(pk=plan.pk).update(stripe_price_id=price.id)
    return done


def _sync_rate(rate: Rate, price: PriceFacts | None, meters: dict[str, MeterFacts]) -> list[str]:
    meter, done = _ensure_meter(rate.sku, meters)
    done += _ensure_product(rate_product_id(rate.sku), _display_name(rate.sku))
    cents = cents_per_unit(rate)
    if price is None or price.cents != cents or price.meter != meter.id:
        recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
        params = {"unit_amount_decimal": gateway.decimal_text(cents), "recurring": recurring}
        price = _new_price(
            rate_lookup_key(rate.sku), rate_product_id(rate.sku), params, replaces=price
        )
        done.append(f"Made price {price.id} for {rate.sku}: {gateway.decimal_text(cents)} cents.")
    Rate.objects.filter(pk=rate.pk).update(stripe_price_id=price.id)
    return done


def _ensure_product(product_id: str, name: str) -> list[str]:
    if gateway.has_product(product_id):
        return []
    make_once(
        lambda key: gateway.create_product({"id": product_id, "name": name}, key=key),
        lambda: gateway.has_product(product_id) or None,
        key=f"product:{product_id}",
    )
    return [f"Made product {product_id}."]


def _ensure_meter(sku: str, meters: dict[str, MeterFacts]) -> tuple[MeterFacts, list[str]]:
    name, done = meter_event_name(sku), []
    meter = meters.get(name)
    if meter is None:
        params = {
            "display_name": _display_name(sku),
            "event_name": name,
            "default_aggregation": {"formula": "sum"},
        }
        meter = make_once(
            lambda key: gateway.create_meter(params, key=key),
            lambda: next(
                (m for m in gateway.meters() if m.event_name == name and m.is_active), None
            ),
            key=f"meter:{name}",
        )
        done.append(f"Made meter {name}.")
    Meter.objects.update_or_create(sku=sku, defaults={"event_name": name, "meter_id": meter.id})
    return meter, done


def _new_price(
    lookup_key: str, product: str, params: dict[str, Any], *, replaces: PriceFacts | None
) -> PriceFacts:
    tax = {"tax_behavior": "exclusive"} if settings.STRIPE_AUTOMATIC_TAX else {}
    wanted = {
        "currency": "usd",
        "product": product,
        "lookup_key": lookup_key,
        "transfer_lookup_key": True,
        **params,
        **tax,
    }
    amount = params.get("unit_amount") or params["unit_amount_decimal"]
    before = replaces.id if replaces else "none"

    def made_after_all() -> PriceFacts | None:
        found = gateway.prices_by_lookup_key([lookup_key]).get(lookup_key)
        return found if found and found.id != before and found.cents == Decimal(amount) else None

    key = f"price:{lookup_key}:{amount}:{before}"
    return make_once(lambda key: gateway.create_price(wanted, key=key), made_after_all, key=key)


def _display_name(sku: str) -> str:
    name = NAMES.get(sku, sku)
    return f"{name}, per token" if sku == PER_MILLION_UNITS else f"{name}, per second"
