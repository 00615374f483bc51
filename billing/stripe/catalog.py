"""Our plans and rates in Stripe's catalog: what they are called there, and `sync_catalog`.

Sync as often as you like. A price is never edited: another amount is a new price that takes over
the lookup key. A product and the lookup key of its price have the same name.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from billing import pricing
from billing.models import Meter, Plan, Rate
from billing.money import NANO_PER_CENT
from billing.stripe import gateway
from billing.stripe.account import adopt_account, current_account
from billing.stripe.dtos import StripeMeterData, StripeParams, StripePriceData
from billing.stripe.errors import StripeServerError

PLAN_PREFIX, RATE_PREFIX = "lathe_plan_", "lathe_rate_"
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class CatalogEntry:
    """A plan or rate as it should be at Stripe."""

    row: Plan | Rate
    key: str  # Of the product and the price. Ours, so that a price of any age names its plan.
    name: str
    cents: Decimal  # Exact: Stripe takes twelve decimals.
    meter: str = ""  # The meter's id; "" for a plan's fee.

    def is_in(self, price: StripePriceData) -> bool:
        return (price.cents, price.meter) == (self.cents, self.meter)


def meter_event_name(sku: str) -> str:
    """What usage of a SKU is reported as: "gpu-h100" → "lathe_gpu_h100_seconds"."""
    word = sku.replace("-", "_")
    return f"lathe_{word}" if sku in pricing.COUNTED_SKUS else f"lathe_{word}_seconds"


def plan_code_of(product_id: str) -> str:
    """The plan a product stands for; "" when it is none of our plans."""
    is_plan = product_id.startswith(PLAN_PREFIX)
    return product_id.removeprefix(PLAN_PREFIX) if is_plan else ""


def sync_catalog() -> list[str]:
    """Create what is missing or differs; returns a sentence for each thing made.

    Stripe repeats a 5xx answer under its key for a day, although the object may exist: then
    everything is looked at again, under keys of another generation.
    """
    adopt_account()
    done: list[str] = []
    for generation in range(MAX_ATTEMPTS):
        with suppress(StripeServerError):
            _create_missing(done, generation)
            return done
    raise StripeServerError


def _create_missing(done: list[str], generation: int) -> None:
    entries = _wanted_entries(_ensure_meters(done, generation))
    keys = [entry.key for entry in entries]
    prices, products = gateway.list_prices_by_lookup_key(keys), gateway.list_product_ids(keys)
    for entry in entries:
        if entry.key not in products:
            params = {"id": entry.key, "name": entry.name}
            gateway.create_product(params, key=f"product:{entry.key}:{generation}")
            done.append(f"Made product {entry.key}.")
        price = prices.get(entry.key)
        if price is None or not entry.is_in(price):
            price = _create_price(entry, price.id if price else "none", generation)
            cents = gateway.decimal_text(entry.cents)
            done.append(f"Made price {price.id} for {entry.name}: {cents} cents.")
        ids = {"stripe_price_id": price.id, "stripe_account": current_account()}
        type(entry.row)._default_manager.filter(pk=entry.row.pk).update(**ids)


def _wanted_entries(meters: Mapping[str, StripeMeterData]) -> list[CatalogEntry]:
    plans = Plan.objects.filter(monthly_cents__gt=0).order_by("order")
    fees = [
        CatalogEntry(
            plan, f"{PLAN_PREFIX}{plan.code}", f"{plan.name} plan", Decimal(plan.monthly_cents)
        )
        for plan in plans
    ]
    rates = [
        CatalogEntry(
            rate,
            f"{RATE_PREFIX}{rate.sku}",
            _display_name(rate.sku),
            Decimal(rate.nano_per_unit) / NANO_PER_CENT,
            meters[meter_event_name(rate.sku)].id,
        )
        for rate in Rate.objects.in_force().order_by("sku")
    ]
    return fees + rates


def _ensure_meters(done: list[str], generation: int) -> dict[str, StripeMeterData]:
    """The active meters by the names of their events, one for each SKU."""
    meters = gateway.list_active_meters()
    for sku in Rate.objects.in_force().order_by("sku").values_list("sku", flat=True):
        name = meter_event_name(sku)
        if name not in meters:
            params = {
                "display_name": _display_name(sku),
                "event_name": name,
                "default_aggregation": {"formula": "sum"},
            }
            meters[name] = gateway.create_meter(params, key=f"meter:{name}:{generation}")
            done.append(f"Made meter {name}.")
        facts = {"event_name": name, "meter_id": meters[name].id, "account": current_account()}
        Meter.objects.update_or_create(sku=sku, defaults=facts)
    return meters


def _create_price(entry: CatalogEntry, before: str, generation: int) -> StripePriceData:
    """A price that takes over the lookup key from the price before it."""
    cents = gateway.decimal_text(entry.cents)
    amount: StripeParams = {"unit_amount": int(entry.cents)}
    usage: StripeParams = {}
    if entry.meter:
        amount = {"unit_amount_decimal": cents}
        usage = {"usage_type": "metered", "meter": entry.meter}
    params = {
        "currency": "usd",
        "product": entry.key,
        "lookup_key": entry.key,
        "transfer_lookup_key": True,
        **amount,
        "recurring": {"interval": "month", **usage},
        **({"tax_behavior": "exclusive"} if settings.STRIPE_AUTOMATIC_TAX else {}),
    }
    key = f"price:{entry.key}:{cents}:{before}:{generation}"
    return gateway.create_price(params, key=key)


def _display_name(sku: str) -> str:
    units = {
        pricing.TOKEN_SKU: "per token",
        pricing.UPSTREAM_SKU: "per token",
        pricing.VOICE_IN_SKU: "per second of speech",
        pricing.VOICE_OUT_SKU: "per character",
        pricing.ANSWERS_SKU: "per answer",
        pricing.ADJUSTMENT_SKU: "per millionth of a dollar",
    }
    return f"{pricing.SKU_NAMES.get(sku, sku)}, {units.get(sku, 'per second')}"
