"""A cost as people read it: whole cents, never less than it may be."""

import pytest

from training.estimates.estimate import format_cost_range


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (286, 9_000, "up to $0.01"),
        (0, 10_000, "up to $0.01"),
        (9_999, 10_001, "up to $0.02"),
        (120_000, 1_234_567, "$0.12 – $1.24"),
        (None, 5_000, ""),
        (5_000, None, ""),
    ],
)
def test_a_range_is_in_whole_cents_rounded_outwards(low, high, said):
    assert format_cost_range(low, high) == said
