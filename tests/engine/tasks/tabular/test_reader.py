"""Which rows of a table are usable, what their targets are, and which tables are refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadTrainingData
from engine.spec import parse_spec
from engine.tasks.tabular.reader import read_table


def read(tmp_path, columns, *, task="tabular-classification", **changes):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path)
    spec = {"task": task, "data": path, "target_column": "y", "output": "o", "work": "w"}
    return read_table(parse_spec(spec | changes))


def columns(rows=40, **changes):
    made = {
        "x": list(range(rows)),
        "name": [f"n{row % 3}" for row in range(rows)],
        "y": ["yes" if row % 4 else "no" for row in range(rows)],
    }
    return made | changes


def test_rows_without_a_target_are_skipped_and_counted(tmp_path):
    made = columns()
    made["y"][3] = None
    made["y"][5] = ""
    table = read(tmp_path, made)
    assert len(table.rows) == 38
    assert not {3, 5} & set(table.rows.tolist())
    assert table.columns.num_rows == 38
    assert table.warnings == ["2 rows have no y: skipped."]


def test_labels_are_sorted_and_rows_point_at_them(tmp_path):
    table = read(tmp_path, columns())
    assert table.label_names == ["no", "yes"]
    assert table.labels[:5].tolist() == [0, 1, 1, 1, 0]
    assert table.numbers is None
    assert np.array_equal(table.strata, table.labels)


def test_numbers_are_read_and_their_tenths_keep_a_split_in_proportion(tmp_path):
    values = [row * 1.5 for row in range(100)]
    table = read(tmp_path, {"x": list(range(100)), "y": values}, task="tabular-regression")
    assert table.numbers.tolist() == values
    assert table.labels is None
    assert table.label_names == []
    assert np.bincount(table.strata).tolist() == [10] * 10


def test_every_column_but_target_and_split_is_a_feature_where_none_is_named(tmp_path):
    made = columns(part=["train"] * 40)
    table = read(tmp_path, made, split={"column": "part"})
    assert table.names == ["x", "name"]
    assert table.split_values == ["train"] * 40
    assert read(tmp_path, made, feature_columns=["name"]).names == ["name"]


def test_a_row_is_shown_with_its_columns_names(tmp_path):
    assert read(tmp_path, columns()).texts[1] == "x=1, name=n1"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"y": ["yes"] * 40}, "too_few_labels"),
        ({"y": [f"label {row}" for row in range(40)]}, "too_many_labels"),
        ({"y": [None] * 25 + ["a", "b", "c"] * 5}, "too_few_rows"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(tmp_path, changes, detail):
    with pytest.raises(BadTrainingData) as refusal:
        read(tmp_path, columns(**changes))
    assert refusal.value.detail == detail
    assert "y" in refusal.value.sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0] * 40, "Every row has the same y: nothing to learn"),
        (["1"] * 39 + ["nan"], "says 'nan' in row 40"),
        (["1", "2"] * 19 + ["inf", "3"], "says 'inf' in row 39"),
    ],
)
def test_numbers_that_cannot_be_learnt_are_refused_with_their_row(tmp_path, values, sentence):
    with pytest.raises(BadTrainingData, match=sentence):
        read(tmp_path, columns(y=values), task="tabular-regression")


def test_a_table_of_nothing_but_its_target_is_refused(tmp_path):
    with pytest.raises(BadTrainingData, match="no column besides the target"):
        read(tmp_path, {"y": ["a", "b"] * 20})


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"not parquet")
    spec = parse_spec(
        {
            "task": "tabular-regression",
            "data": path,
            "target_column": "y",
            "output": "o",
            "work": "w",
        }
    )
    with pytest.raises(BadTrainingData, match="cannot be read as Parquet"):
        read_table(spec)
