"""Groups by a column's value: quarters of numbers, values by frequency, the rest together."""

import numpy as np
import pytest

from engine.evaluation.grouping import (
    MAX_GROUPS,
    MISSING,
    OTHER,
    assign_groups,
    is_continuous,
    is_missing,
)
from engine.evaluation.slicing import select_slice_columns


@pytest.mark.parametrize("cell", [None, "", float("nan")])
def test_missing_cells_form_a_group(cell):
    assert is_missing(cell)
    assert assign_groups(["a", cell, "a"]) == ["a", MISSING, "a"]


@pytest.mark.parametrize("cell", [0, False, "0", " ", []])
def test_empty_looking_values_are_values(cell):
    assert not is_missing(cell)


def test_values_beyond_the_commonest_share_one_group():
    cells = [f"v{number}" for number in range(20) for _ in range(20 - number)]
    groups = assign_groups(cells)
    assert set(groups) == {f"v{number}" for number in range(MAX_GROUPS)} | {OTHER}
    assert groups.count("v0") == 20


def test_long_values_are_cut():
    assert assign_groups(["x" * 200, "y"]) == ["x" * 80, "y"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (list(range(13)), True),
        (list(range(12)), False),
        ([*range(20), None, float("nan")], True),
        ([*range(20), "text"], False),
        ([True, False] * 20, False),
        ([], False),
        ([None] * 20, False),
    ],
)
def test_numbers_of_many_values_are_continuous(cells, expected):
    assert is_continuous(cells) is expected


def test_quarters_hold_about_equally_many_rows_and_are_named_by_their_bounds():
    values = np.random.default_rng(0).normal(size=400).tolist()
    groups = assign_groups(values)
    counts = {name: groups.count(name) for name in set(groups)}
    assert len(counts) == 4
    assert all(95 <= count <= 105 for count in counts.values())
    last = groups[int(np.argmax(values))]
    assert "below" not in last
    assert sum("to below" in name for name in counts) == 3


def test_many_equal_numbers_make_fewer_quarters():
    groups = assign_groups([0.0] * 100 + list(range(1, 20)))
    assert len(set(groups)) < 4
    assert groups[0] == groups[99]


def test_missing_numbers_stay_apart_from_the_quarters():
    groups = assign_groups([*range(20), None])
    assert groups[-1] == MISSING
    assert MISSING not in groups[:-1]


def test_identifiers_and_constants_are_no_columns_to_slice_by():
    columns = {
        "id": list(range(100)),
        "constant": ["x"] * 100,
        "free text": [f"sentence {number}" for number in range(100)],
        "price": [number / 3 for number in range(100)],
        "shop": ["north", "south"] * 50,
    }
    assert list(select_slice_columns(columns)) == ["price", "shop"]
    assert list(select_slice_columns(columns, ["constant"])) == ["constant", "price", "shop"]


def test_at_most_eight_columns_unless_more_were_chosen():
    columns = {f"c{number}": ["a", "b"] * 5 for number in range(12)}
    assert len(select_slice_columns(columns)) == 8
    assert list(select_slice_columns(columns, list(columns))) == list(columns)
