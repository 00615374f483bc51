"""The population stability index against its definition and against draws."""

import math
import random

import pytest

from inference.drift.bins import MISSING, OTHER, category_bins, number_bins
from inference.drift.stability_index import bound_by_chance, contributions


def index(reference, observed):
    return sum(contributions(reference, observed))


def test_it_is_the_sum_over_bins():
    reference, observed = [700_000, 200_000, 100_000], [400_000, 400_000, 200_000]
    shares = [(0.7, 0.4), (0.2, 0.4), (0.1, 0.2)]
    expected = sum((q - p) * math.log(q / p) for p, q in shares)
    assert index(reference, observed) == pytest.approx(expected, rel=1e-4)
    assert index(reference, reference) == 0
    assert all(part >= 0 for part in contributions([0, 5, 90], [80, 0, 3]))


@pytest.mark.parametrize(("before", "after"), [(500, 100), (5_000, 2_000), (60, 40)])
def test_draws_of_one_distribution_rarely_exceed_the_bound(before, after):
    generator, weights = random.Random(before), [5, 4, 3, 3, 2, 1]

    def draw(count):
        drawn = generator.choices(range(6), weights, k=count)
        return [drawn.count(place) for place in range(6)]

    trials = [(draw(before), draw(after)) for _ in range(400)]
    exceeded = sum(index(*pair) > bound_by_chance(*pair, 0.05) for pair in trials)
    assert exceeded / 400 <= 0.08


def test_numbers_fall_into_bins_of_as_many_reference_values_each():
    bins = number_bins([float(n) for n in range(1000)] + [None] * 10)
    assert bins.counts[-1] == 10
    assert sum(bins.counts) == 1010
    assert all(90 <= count <= 110 for count in bins.counts[:-1])
    assert bins.count([-5.0, 5_000.0, None, 0.0]) == [2, *[0] * 8, 1, 1]
    assert str(bins.name(0)) == "up to 99.9"
    assert str(bins.name(9)) == "above 899.1"
    assert str(bins.name(4)) == "from 399.6 to 499.5"
    assert str(bins.name(10)) == MISSING


def test_categories_beyond_the_frequent_ones_count_together():
    bins = category_bins(["a"] * 5 + ["b"] * 3 + [None])
    assert bins.values == ["a", "b"]
    assert bins.counts == [5, 3, 0, 1]
    assert bins.count(["b", "new", "newer", None]) == [0, 1, 2, 1]
    assert [str(bins.name(place)) for place in range(4)] == ["a", "b", OTHER, MISSING]


@pytest.mark.parametrize("values", [[], [None, None], [3.0], [3.0] * 50])
def test_columns_without_spread_have_bins_too(values):
    bins = number_bins(values)
    assert sum(bins.counts) == len(values) == sum(bins.count(values))
    assert all(str(bins.name(place)) for place in range(bins.size) if bins.counts[place])


def test_days_and_shares_are_named_as_such():
    days = number_bins([20_000.0, 20_100.0, 20_200.0], unit="day")
    assert str(days.name(0)) == "up to 2024-10-24"
    shares = number_bins([0.05, 0.3], (0.0, 0.1, 0.4), unit="share")
    assert [str(shares.name(place)) for place in (0, 2)] == ["up to 0%", "from 10% to 40%"]
