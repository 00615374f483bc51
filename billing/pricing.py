"""The prices in force, as people read them."""

from dataclasses import dataclass
from decimal import Decimal

from django.utils.timezone import now

from billing.models import Rate

PER_MILLION_UNITS = "inference-tokens"  # The one SKU that is not a second of a device.
NAMES = {"cpu": "CPU", "gpu": "GPU", "inference-tokens": "Asking a deployed model"}
NANO = Decimal(1_000_000_000)


@dataclass(frozen=True)
class Price:
    """One SKU's price in dollars, for the unit it is billed by and for one people think in."""

    sku: str
    name: str
    exact: str  # "$0.00002 per second"
    handy: str  # "$0.072 per hour"


def prices() -> list[Price]:
    """Today's prices, cheapest compute first, counted units last."""
    rates = Rate.objects.filter(valid__contains=now())
    ordered = sorted(rates, key=lambda rate: (rate.sku == PER_MILLION_UNITS, rate.nano_per_unit))
    return [_price(rate) for rate in ordered]


def _price(rate: Rate) -> Price:
    name, unit = NAMES.get(rate.sku, rate.sku), nano_dollars(rate.nano_per_unit)
    if rate.sku == PER_MILLION_UNITS:
        million = nano_dollars(rate.nano_per_unit * 1_000_000)
        return Price(rate.sku, name, f"{unit} per token", f"{million} per million tokens")
    hour = nano_dollars(rate.nano_per_unit * 3600)
    return Price(rate.sku, name, f"{unit} per second and device", f"{hour} per hour")


def nano_dollars(nano: int) -> str:
    """Exact dollars with at least two decimals: 2520000000 → "$2.52"."""
    whole, _, fraction = format(nano / NANO, "f").partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"
