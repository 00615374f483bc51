"""Prices: those in force, as the pricing page shows them, and changing one.

A price changes by a new row: the old one ends where the new one begins.
"""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange
from django.utils.timezone import now

from billing.models import Rate
from billing.money import NANO_PER_DOLLAR
from web.enqueue import enqueue_on_commit
from web.errors import UserError

TOKEN_SKU = "inference-tokens"
VOICE_IN_SKU, VOICE_OUT_SKU = "voice-in-seconds", "voice-out-characters"
VOICE_SKUS = (VOICE_IN_SKU, VOICE_OUT_SKU)
UPSTREAM_SKU = "upstream-tokens"  # Of a language model at a team's own address.
ANSWERS_SKU = "assistant-answers"
# Units that are no tokens, and what else one assistant used is told beside them.
UNIT_SKUS = (*VOICE_SKUS, ANSWERS_SKU)
# Amounts of money that are not of metered time, in micro-USD: adjustments, and usage that missed
# its invoice. A meter of its own, because Stripe takes credit off metered lines only.
ADJUSTMENT_SKU = "adjustments"
EXAMPLE_MINUTES, EXAMPLE_TOKENS = 5, 50  # What the pricing page reckons with.
EXAMPLE_SECONDS, EXAMPLE_CHARACTERS, EXAMPLE_ANSWERS = 10, 200, 100
COUNTED_SKUS = (TOKEN_SKU, *UNIT_SKUS, UPSTREAM_SKU, ADJUSTMENT_SKU)  # No second of a device.
ONE_UNIT = {
    TOKEN_SKU: "1 token",
    UPSTREAM_SKU: "1 token",
    VOICE_IN_SKU: "1 second",
    VOICE_OUT_SKU: "1 character",
    ANSWERS_SKU: "1 answer",
}
SKU_NAMES = {
    "cpu": "CPU",
    "gpu": "GPU",
    TOKEN_SKU: "Asking a deployed model",
    VOICE_IN_SKU: "Recognising speech",
    VOICE_OUT_SKU: "Speaking answers",
    ANSWERS_SKU: "Answers of assistants",
    UPSTREAM_SKU: "Answers written by a model elsewhere",
    ADJUSTMENT_SKU: "Adjustments and late usage",
}


class BadRate(UserError):
    code, status = "bad_rate", 400


@dataclass(frozen=True)
class Price:
    """One SKU's price in dollars, per billed unit and per hour or million tokens."""

    sku: str
    name: str
    exact: str  # "$0.00002 per second"
    display_price: str  # "$0.072 per hour"
    example: str  # "5 minutes: $0.006"


def list_prices() -> list[Price]:
    """Today's prices, cheapest compute first, counted units last."""
    rates = Rate.objects.in_force().exclude(sku=ADJUSTMENT_SKU)
    optional = (*UNIT_SKUS, UPSTREAM_SKU)
    priced = rates.exclude(sku__in=optional, nano_per_unit=0)  # Free unless somebody prices it.
    ordered = sorted(priced, key=lambda rate: (rate.sku in COUNTED_SKUS, rate.nano_per_unit))
    return [_build_price(rate) for rate in ordered]


def _build_price(rate: Rate) -> Price:
    def cost_of(units: int) -> str:
        return format_nano_dollars(rate.nano_per_unit * units)

    name, unit = SKU_NAMES.get(rate.sku, rate.sku), cost_of(1)
    if rate.sku in (TOKEN_SKU, UPSTREAM_SKU):
        million, thousand = cost_of(1_000_000), cost_of(1_000 * EXAMPLE_TOKENS)
        exact, display = f"{unit} per token", f"{million} per million tokens"
        example = f"1,000 texts of {EXAMPLE_TOKENS} tokens: {thousand}"
    elif rate.sku == VOICE_IN_SKU:
        minute, cost = cost_of(60), cost_of(EXAMPLE_SECONDS)
        exact, display = f"{unit} per second of speech", f"{minute} per minute"
        example = f"a question of {EXAMPLE_SECONDS} seconds: {cost}"
    elif rate.sku == VOICE_OUT_SKU:
        thousand, cost = cost_of(1_000), cost_of(EXAMPLE_CHARACTERS)
        exact, display = f"{unit} per character", f"{thousand} per thousand characters"
        example = f"an answer of {EXAMPLE_CHARACTERS} characters: {cost}"
    elif rate.sku == ANSWERS_SKU:
        hundred = cost_of(EXAMPLE_ANSWERS)
        exact = display = f"{unit} per answer"
        example = f"{EXAMPLE_ANSWERS} answered questions: {hundred}"
    else:
        hour, minutes = cost_of(3600), cost_of(60 * EXAMPLE_MINUTES)
        exact, display = f"{unit} per second and device", f"{hour} per hour"
        example = f"a fine-tune of {EXAMPLE_MINUTES} minutes: {minutes}"
    return Price(rate.sku, name, exact, display, example)


def format_quantity(sku: str, units: int) -> str:
    """Counted units of a SKU, in words."""
    if units == 1:
        return ONE_UNIT.get(sku, "1 unit")
    return {
        TOKEN_SKU: f"{units:,} tokens",
        UPSTREAM_SKU: f"{units:,} tokens",
        VOICE_IN_SKU: f"{units:,} seconds",
        VOICE_OUT_SKU: f"{units:,} characters",
        ANSWERS_SKU: f"{units:,} answers",
    }.get(sku, f"{units:,} units")


def format_nano_dollars(nano: int) -> str:
    """Exact dollars with at least two decimals: 2520000000 → "$2.52"."""
    whole, _, fraction = format(Decimal(nano) / NANO_PER_DOLLAR, "f").partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"


@transaction.atomic
def supersede(sku: str, nano_per_unit: int) -> Rate:
    """Price a SKU from now on. Runs that began before keep the rate they began with."""
    if nano_per_unit < 0:
        raise BadRate("A rate cannot be negative.", param="nano_per_unit")
    moment = now()
    for current in Rate.objects.select_for_update().filter(sku=sku, valid__contains=moment):
        Rate.objects.filter(pk=current.pk).update(
            valid=DateTimeTZRange(current.valid.lower, moment)
        )
    enqueue_on_commit("billing.tasks.keep_catalog")
    return Rate.objects.create(
        sku=sku, nano_per_unit=nano_per_unit, valid=DateTimeTZRange(moment, None)
    )
