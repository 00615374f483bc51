"""Our plans and rates in Stripe's catalog: their names there, and `sync_catalog`.

Syncing is repeatable. A price is never edited: another amount is a new price that takes over the
lookup key. A product's id is also the lookup key of its price.
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
    key: str  # The product's id and the price's lookup key. Ours, so that old prices name a plan.
    name: str
    cents: Decimal  # Exact: Stripe takes twelve decimals.
    meter: str = ""  # The meter's id; "" for a plan's fee.

    def is_in(self, price: StripePriceData) -> bool:
        return (price.cents, price.meter) == (self.cents, self.meter)


def meter_event_name(sku: str) -> str:
    """The event name under which usage of a SKU is reported: "gpu-h100" is
    "lathe_gpu_h100_seconds"."""
    word = sku.replace("-", "_")
    return f"lathe_{word}" if sku in pricing.COUNTED_SKUS else f"lathe_{word}_seconds"


def plan_code_of(product_id: str) -> str:
    """The code of the plan that a product stands for; "" for a product that is not a plan."""
    is_plan = product_id.startswith(PLAN_PREFIX)
    return product_id.removeprefix(PLAN_PREFIX) if is_plan else ""


def sync_catalog() -> list[str]:
    """Create what is missing or differs; returns a sentence for each object created.

    Stripe repeats a 5xx answer under its key for a day, although the object may have been created:
    then everything is compared again, with keys of another generation.
    """
    adopt_account()
    created: list[str] = []
    for generation in range(MAX_ATTEMPTS):
        with suppress(StripeServerError):
            _create_missing(created, generation)
            return created
    raise StripeServerError


def _create_missing(created: list[str], generation: int) -> None:
    entries = _expected_entries(_ensure_meters(created, generation))
    keys = [entry.key for entry in entries]
    prices, products = gateway.list_prices_by_lookup_key(keys), gateway.list_product_ids(keys)
    for entry in entries:
        if entry.key not in products:
            params = {"id": entry.key, "name": entry.name}
            gateway.create_product(params, key=f"product:{entry.key}:{generation}")
            created.append(f"Made product {entry.key}.")
        price = prices.get(entry.key)
        if price is None or not entry.is_in(price):
            price = _create_price(entry, price.id if price else "none", generation)
            cents = gateway.decimal_text(entry.cents)
            created.append(f"Made price {price.id} for {entry.name}: {cents} cents.")
        ids = {"stripe_price_id": price.id, "stripe_account": current_account()}
        type(entry.row)._default_manager.filter(pk=entry.row.pk).update(**ids)


def _expected_entries(meters: Mapping[str, StripeMeterData]) -> list[CatalogEntry]:
    """The entries that the catalog should have: a fee for each plan, a price for each rate."""
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


def _ensure_meters(created: list[str], generation: int) -> dict[str, StripeMeterData]:
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
            created.append(f"Made meter {name}.")
        columns = {"event_name": name, "meter_id": meters[name].id, "account": current_account()}
        Meter.objects.update_or_create(sku=sku, defaults=columns)
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
