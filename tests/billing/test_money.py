"""Money by its laws: nothing is lost in parts, and no reservation falls short."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.money import (
    affordable_ms,
    amount_micro,
    ceil_micro,
    dollars_to_micro,
    plain_dollars,
    round_to_cents,
    units_micro,
)
from billing.pricing import format_nano_dollars
from web.templatetags.ui import cents, exact_money

MS = st.integers(0, 10**12)  # Up to 31 years of one device.
NANO = st.integers(0, 10**10)  # Up to ten dollars a second.
DEVICES = st.integers(1, 64)
MICRO = st.integers(-(10**13), 10**13)


@given(st.lists(st.integers(0, 10**9), max_size=30), NANO)
def test_the_price_of_a_whole_is_the_sum_of_its_parts(parts, nano):
    charged, total = 0, 0
    for part in parts:
        charged += amount_micro(total + part, nano) - amount_micro(total, nano)
        total += part
    assert charged == amount_micro(total, nano)
    exact = Fraction(total * nano, 1000 * 1000)  # ms per second, nano per micro.
    assert 0 <= exact - charged < 1


@given(st.lists(st.integers(0, 10**6), max_size=30), NANO)
def test_counted_units_lose_no_fraction_either(parts, nano):
    charged, total = 0, 0
    for part in parts:
        charged += units_micro(total + part, nano) - units_micro(total, nano)
        total += part
    assert charged == total * nano // 1000


@given(MS, st.integers(0, 10**9), NANO)
def test_a_reservation_covers_whatever_is_billed_within_it(reserved_ms, less, nano):
    reserved, billed_ms = ceil_micro(reserved_ms, nano), max(0, reserved_ms - less)
    assert amount_micro(billed_ms, nano) <= reserved
    assert reserved - amount_micro(reserved_ms, nano) <= 1


@given(st.integers(0, 10**13), st.integers(1, 10**10), DEVICES)
def test_what_is_affordable_fits_the_money_and_a_millisecond_more_does_not(micro, nano, devices):
    ms = affordable_ms(micro, nano, devices)
    assert ceil_micro(ms * devices, nano) <= micro
    assert ceil_micro((ms + 1) * devices, nano) > micro


def test_what_costs_nothing_is_affordable_for_ever():
    assert affordable_ms(0, 0, 8) is None


@given(MICRO)
def test_cents_are_the_nearest_and_halves_go_away_from_zero(micro):
    rounded = round_to_cents(micro)
    assert abs(Fraction(micro, 10_000) - rounded) <= Fraction(1, 2)
    assert rounded == -round_to_cents(-micro)
    by_decimal = (Decimal(micro) / 10_000).quantize(Decimal(1), ROUND_HALF_UP)
    assert rounded == int(by_decimal)


@pytest.mark.parametrize(("micro", "whole"), [(5_000, 1), (-5_000, -1), (4_999, 0), (-4_999, 0)])
def test_half_a_cent_counts_as_one(micro, whole):
    assert round_to_cents(micro) == whole


@given(MICRO)
def test_dollars_for_machines_read_back_exactly(micro):
    text = plain_dollars(micro)
    assert Decimal(text) * 1_000_000 == micro
    assert len(text.partition(".")[2]) == 6


@given(st.decimals(0, 1_000_000, places=6))
def test_typed_dollars_become_exactly_their_micro_dollars(dollars):
    assert Fraction(dollars_to_micro(dollars), 1_000_000) == Fraction(dollars)


@given(st.integers(0, 10**15))
def test_a_rate_reads_back_exactly_and_has_cents(nano):
    text = format_nano_dollars(nano)
    assert Decimal(text.removeprefix("$")) * 10**9 == nano
    assert len(text.partition(".")[2]) >= 2


@given(MICRO)
def test_pages_show_the_exact_amount_with_a_real_minus(micro):
    text = exact_money(micro)
    assert Decimal(text.translate({0x2212: "-", ord("$"): "", ord(","): ""})) * 10**6 == micro
    assert text.startswith("\N{MINUS SIGN}$" if micro < 0 else "$")


@given(st.integers(-(10**9), 10**9))
def test_whole_cents_read_back_exactly(amount):
    text = cents(amount).translate({0x2212: "-", ord("$"): "", ord(","): ""})
    assert Decimal(text) * 100 == amount
