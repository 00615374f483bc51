"""What a target column is read as, and which columns cannot be learnt from."""

import numpy as np
import pytest

from engine.data.targets import GroundTruth, read_targets, select_numeric_rows
from engine.errors import BadTrainingData
from engine.spec import parse_spec


def spec(task="text-classification", **hyperparameters):
    return parse_spec(
        {
            "task": task,
            "data": "d.parquet",
            "text_columns": ["text"],
            "target_column": "label",
            "output": "o",
            "work": "w",
            "hyperparameters": hyperparameters,
        }
    )


def read(cells, **hyperparameters) -> GroundTruth:
    return read_targets(cells, spec(**hyperparameters))


def test_labels_are_numbered_in_alphabetical_order():
    truth = read(["b", "a", "b", "c", "a", "c"])
    assert truth.kind == "label"
    assert truth.label_names == ["a", "b", "c"]
    assert truth.values.tolist() == [1, 0, 1, 2, 0, 2]
    assert truth.strata() == truth.values.tolist()


def test_rare_labels_are_named_and_only_the_first_five():
    cells = ["common"] * 20 + [f"rare{number}" for number in range(7)]
    (warning,) = read(cells).warnings
    assert warning.startswith(
        "7 labels have fewer than 3 rows (rare0, rare1, rare2, rare3, rare4 …)"
    )
    assert read(["a", "b"] * 3).warnings == []


@pytest.mark.parametrize(
    ("cells", "detail"),
    [
        (["same"] * 12, "too_few_labels"),
        ([f"id{number}" for number in range(12)], "too_many_labels"),
        ([f"id{number // 2}" for number in range(2200)], "too_many_labels"),
    ],
)
def test_columns_without_something_to_learn_are_refused(cells, detail):
    with pytest.raises(BadTrainingData) as refusal:
        read(cells)
    assert refusal.value.detail == detail
    assert "'label'" in refusal.value.sentence


def test_cells_of_several_labels_become_flags():
    truth = read(["a|b", "b", "a", "a|b"], labels_per_row="several", label_separator="|")
    assert truth.kind == "labels"
    assert truth.values.tolist() == [[True, True], [False, True], [True, False], [True, True]]
    assert "Labels: 2, on average 1.5 a row" in truth.warnings[0]


def test_the_stratum_of_several_labels_is_the_rarest():
    values = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]], dtype=bool)
    assert GroundTruth("labels", values, ["a", "b", "c"]).strata() == [1, 0, 2, 3, 1]


def test_several_labels_need_two_different_ones():
    with pytest.raises(BadTrainingData, match="fewer than two different labels"):
        read(["a", "a"], labels_per_row="several")


def test_numbers_are_read_and_stratified_by_size():
    truth = read_targets([str(number) for number in range(100)], spec("text-regression"))
    assert truth.kind == "number"
    strata = truth.strata()
    assert strata == sorted(strata)
    assert [strata.count(group) for group in range(10)] == [10] * 10


def test_equal_numbers_cannot_be_told_apart():
    with pytest.raises(BadTrainingData, match="the same number, 5"):
        read_targets(["5"] * 12, spec("text-regression"))


def test_rows_without_a_finite_number_are_skipped_with_a_warning():
    cells = ["1", "x", None, "inf", "nan", "2.5", "-3", "4", "5e3", "6"]
    numeric_rows, warnings = select_numeric_rows(cells, list(range(10)), "price")
    assert numeric_rows == [0, 5, 6, 7, 8, 9]
    assert warnings == ["4 rows have no number in price: skipped."]
    assert select_numeric_rows(["1", "2"], [0, 1], "price") == ([0, 1], [])
    _, warnings = select_numeric_rows(["1", "2", "x"], [0, 1, 2], "price")
    assert warnings == ["1 row has no number in price: skipped."]


def test_a_column_of_mostly_other_things_is_refused_with_an_example():
    with pytest.raises(BadTrainingData, match="such as 'cheap'") as refusal:
        select_numeric_rows(["1", "cheap", "dear", "cheap"], [0, 1, 2, 3], "price")
    assert refusal.value.detail == "not_numbers"
