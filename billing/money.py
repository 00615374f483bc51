"""Exact money: integer nano-USD rates, integer micro-USD amounts, never a float."""

from decimal import ROUND_HALF_UP, Decimal

MS_PER_SECOND = 1000
NANO_PER_MICRO = 1000
MICRO_PER_CENT = 10_000
CENTS_PER_DOLLAR = 100
MICRO_PER_DOLLAR = MICRO_PER_CENT * CENTS_PER_DOLLAR
NANO_PER_CENT = NANO_PER_MICRO * MICRO_PER_CENT
NANO_PER_DOLLAR = NANO_PER_CENT * CENTS_PER_DOLLAR


def amount_micro(device_ms: int, nano_per_second: int) -> int:
    """Micro-USD for a running total of device-milliseconds, rounded down.

    Differences of this function over a growing total always add up to the whole (telescoping),
    so the sum of the parts never differs from the price of the total.
    """
    return device_ms * nano_per_second // (MS_PER_SECOND * NANO_PER_MICRO)


def ceil_micro(device_ms: int, nano_per_second: int) -> int:
    """Micro-USD that certainly cover this many device-milliseconds, wherever rounding falls."""
    return -(-device_ms * nano_per_second // (MS_PER_SECOND * NANO_PER_MICRO))


def units_micro(units: int, nano_per_unit: int) -> int:
    """Micro-USD for a running total of counted units such as tokens, rounded down."""
    return units * nano_per_unit // NANO_PER_MICRO


def affordable_ms(micro: int, nano_per_second: int, devices: int) -> int | None:
    """Whole milliseconds of wall time this money pays for; None when the rate is zero."""
    if nano_per_second == 0:
        return None
    return micro * MS_PER_SECOND * NANO_PER_MICRO // (nano_per_second * devices)


def round_to_cents(micro: int) -> int:
    """Whole cents, rounded as Stripe rounds a line: half a cent goes away from zero."""
    return int((Decimal(micro) / MICRO_PER_CENT).quantize(Decimal(1), ROUND_HALF_UP))


def dollars_to_micro(dollars: Decimal) -> int:
    """Micro-USD of an amount that somebody typed in dollars."""
    return int(dollars * MICRO_PER_DOLLAR)


def plain_dollars(micro: int) -> str:
    """Exact dollars for machines: -140000 → "-0.140000". Pages use `exact_money`."""
    whole, rest = divmod(abs(micro), MICRO_PER_DOLLAR)
    return f"{'-' if micro < 0 else ''}{whole}.{rest:06d}"
