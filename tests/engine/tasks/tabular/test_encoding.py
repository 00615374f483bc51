"""Columns to features to numbers: inference, encoding, missing values and refusals."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from engine.artifact import Feature
from engine.errors import BadTrainingData
from engine.tasks.tabular.encoder import (
    CLIP_VALUE,
    TableEncoder,
    encoded_width,
    parse_category,
    parse_datetime,
    parse_number,
    to_days,
)
from engine.tasks.tabular.features import MAX_CATEGORIES, infer_features

NUMBER = Feature(name="n", kind="number", middle=10.0, scale=2.0)


def inferred(values, kind=None, name="column"):
    """The one feature of a column, or the warning that it is left out."""
    table = pa.table({name: pa.array(values, kind), "other": list(range(len(values)))})
    features, warnings = infer_features(table, [name, "other"], list(range(len(values))))
    of_name = [feature for feature in features if feature.name == name]
    return of_name[0] if of_name else warnings[0]


def encoded(feature, *values):
    return TableEncoder([feature]).encode({feature.name: list(values)})


def test_a_number_is_its_distance_from_the_median_in_spreads_and_clipped():
    assert encoded(NUMBER, 10, 14, "6", 1e9, -1e9)[:, 0].tolist() == [
        0, 2, -2, CLIP_VALUE, -CLIP_VALUE,
    ]  # fmt: skip


@pytest.mark.parametrize("missing", [None, "", math.nan, math.inf])
def test_a_missing_number_is_the_median_and_marked_where_training_had_gaps(missing):
    assert encoded(NUMBER, missing).tolist() == [[0.0]]
    with_gaps = NUMBER.model_copy(update={"has_gaps": True})
    assert encoded(with_gaps, missing, 12).tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_a_category_has_a_column_for_each_value_and_one_for_all_others():
    feature = Feature(name="c", kind="category", categories=["", "1", "red"])
    assert encoded(feature, "red", 1.0, None, "blue").tolist() == [
        [0, 0, 1, 0],
        [0, 1, 0, 0],  # A whole float is the same category as the integer.
        [1, 0, 0, 0],
        [0, 0, 0, 1],
    ]


@pytest.mark.parametrize(
    ("value", "number"),
    [("Yes", 1), ("f", 0), (" TRUE ", 1), (False, 0), ("0", 0), ("", math.nan)],
)
def test_words_for_yes_and_no_are_understood(value, number):
    parsed = parse_number(Feature(name="b", kind="boolean"), value)
    assert parsed == number or (math.isnan(parsed) and math.isnan(number))


def test_words_are_no_numbers_elsewhere():
    with pytest.raises(BadTrainingData, match="'n' must be a number, not 'yes'"):
        parse_number(NUMBER, "yes")
    with pytest.raises(BadTrainingData, match="must be a number"):
        parse_number(NUMBER, [1])


def test_a_date_is_its_time_and_its_place_in_year_week_and_day():
    middle = to_days(datetime(2026, 1, 1, tzinfo=UTC))
    feature = Feature(name="d", kind="date", middle=middle, scale=10.0)
    (row,) = encoded(feature, "2026-06-01T12:00")  # A Monday.
    assert row[0] == pytest.approx(CLIP_VALUE)  # 15 spreads later.
    assert row[1:].tolist() == [0.0, -1.0, 0.0]
    assert encoded(feature, None).tolist() == [[0.0] * 4]


def test_dates_without_a_zone_are_utc_and_other_zones_are_kept():
    feature = Feature(name="d", kind="date")
    naive, aware, day = (
        parse_datetime(feature, value)
        for value in ("2026-01-31 10:00", "2026-01-31T10:00+02:00", date(2026, 1, 31))
    )
    assert (to_days(naive) - to_days(aware)) * 24 == pytest.approx(2)
    assert to_days(day) == to_days(datetime(2026, 1, 31, tzinfo=UTC))
    with pytest.raises(BadTrainingData, match="such as 2026-01-31, not '31.1.2026'"):
        parse_datetime(feature, "31.1.2026")
    with pytest.raises(BadTrainingData, match="must be a date, not 5"):
        parse_datetime(feature, 5)


def test_widths_add_up_to_the_matrix():
    features = [
        NUMBER.model_copy(update={"has_gaps": True}),
        Feature(name="c", kind="category", categories=["a", "b"]),
        Feature(name="d", kind="date", has_gaps=True),
        Feature(name="b", kind="boolean"),
    ]
    encoder = TableEncoder(features)
    assert encoder.widths == [2, 3, 5, 1] == [encoded_width(one) for one in features]
    matrix = encoder.encode({"n": [1], "c": ["z"], "d": ["2026-01-01"], "b": [True]})
    assert matrix.shape == (1, encoder.width) == (1, 11)
    assert matrix.dtype == np.float32


def test_a_request_row_and_a_column_encode_alike():
    features = [NUMBER, Feature(name="c", kind="category", categories=["a"])]
    encoder = TableEncoder(features)
    rows = encoder.encode_rows([{"n": 4, "c": "a"}, {"c": "b"}])
    assert np.array_equal(rows, encoder.encode({"n": [4, None], "c": ["a", "b"]}))
    # Another column beside the features is no harm; without any the row is of another table.
    assert np.array_equal(encoder.encode_rows([{"n": 4, "x": 1}]), encoder.encode_rows([{"n": 4}]))
    with pytest.raises(BadTrainingData, match="no feature 'x'. It reads: c, n."):
        encoder.encode_rows([{"x": 1}])


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1,234.5", 1234.5), ("1.234,5", 1234.5), ("€ 12,50", 12.5), ("12 %", 12.0), (" 7 ", 7.0),
     ("-3", -3.0), ("1.234.567", 1234567.0), ("2e3", 2000.0), ("1 234,5", 1234.5)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(cell, number):
    assert parse_number(NUMBER, cell) == number


@pytest.mark.parametrize(
    ("number_format", "cell", "number"),
    [
        ("1.234,5", "1.234", 1234.0),
        ("1.234,5", "1,234", 1.234),
        ("1.234,5", "-1.234,56 €", -1234.56),
        ("1.234,5", "12.5", 12.5),  # No such group: a program wrote it.
        ("1.234,5", 1.234, 1.234),
        ("1,234.5", "1,234", 1234.0),
        ("1,234.5", "1.234", 1.234),
        ("1,234.5", "12,34,567", 1234567.0),
        ("1234,5", "1,234", 1.234),
        ("1234,5", "1.234", 1.234),
        ("1 234,5", "1 234", 1234.0),
        ("1 234,5", "1,234", 1.234),
        ("1'234.5", "1'234", 1234.0),
    ],
)
def test_a_number_is_read_as_its_column_was_written(number_format, cell, number):
    feature = NUMBER.model_copy(update={"number_format": number_format})
    assert parse_number(feature, cell) == pytest.approx(number)


@pytest.mark.parametrize("cell", ["", "  ", "NA", "n/a", "-", "null", "?", None])
def test_what_means_missing_in_an_upload_is_missing_in_a_request(cell):
    assert math.isnan(parse_number(NUMBER, cell))


@pytest.mark.parametrize("cell", ["1,234", "1_000", "twelve", "1,2,3", "12-13"])
def test_a_number_that_may_mean_two_things_is_refused(cell):
    with pytest.raises(BadTrainingData, match="must be a number, not"):
        parse_number(NUMBER, cell)


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (3.5, "3.5"), (" a ", "a"), (None, ""), (True, "True")]
)
def test_a_category_is_known_by_its_text(value, text):
    assert parse_category(value) == text


def test_the_spread_is_the_quartiles_and_outliers_do_not_stretch_it():
    normal = np.random.default_rng(0).normal(5.0, 2.0, 4001)
    feature = inferred(normal.tolist())
    assert feature.middle == pytest.approx(5, abs=0.1)
    assert feature.scale == pytest.approx(2, rel=0.05)
    assert (feature.low, feature.high) == (normal.min(), normal.max())
    outlier = inferred([*range(100), 10**6])
    assert outlier.scale == pytest.approx(10**6 / 10 / 3, rel=0.05)  # A third of the deviation.
    constant_middle = inferred([0.0] * 50 + [1.0])
    assert constant_middle.scale > 0


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, False, None] * 5, None, "boolean"),
        ([Decimal("1.5"), Decimal("2.5")] * 5, None, "number"),
        ([date(2026, 1, day) for day in range(1, 20)], None, "date"),
        (["a", "b", "c"] * 20, None, "category"),
        ([1, 2] * 10, pa.int64(), "number"),
    ],
)
def test_the_kind_of_a_feature_follows_from_the_columns_type(values, kind, expected):
    assert inferred(values, kind).kind == expected


@pytest.mark.parametrize(
    ("values", "name", "problem"),
    [
        (["same"] * 30, "x", "it says the same in every row"),
        ([None] * 30, "x", "it says the same in every row"),
        (list(range(30)), "row_id", "it numbers the rows"),
        ([f"name {n}" for n in range(60)], "x", "it names the rows"),
        ([f"a much longer text {n}" for n in range(60)], "x", "free text"),
    ],
)
def test_columns_that_help_nobody_are_left_out_with_the_reason(values, name, problem):
    assert problem in inferred(values, name=name)


def test_one_value_beside_gaps_is_a_feature():
    feature = inferred(["x", None] * 20)
    assert feature.categories == ["", "x"]


def test_rare_categories_are_others_and_only_the_commonest_have_columns():
    values = [f"v{n}" for n in range(MAX_CATEGORIES + 10) for _ in range(4)] + ["rare"]
    feature = inferred(values)
    assert len(feature.categories) == MAX_CATEGORIES
    assert "rare" not in feature.categories


def test_a_table_without_one_usable_column_is_refused():
    table = pa.table({"a": ["same"] * 9})
    with pytest.raises(BadTrainingData, match="No column can be learnt from.*'a' is left out"):
        infer_features(table, ["a"], range(9))
