import json

import pytest

from engine.data.text_examples import read_examples
from engine.errors import BadTrainingData
from engine.spec import parse_spec


@pytest.fixture
def read(write_spec):
    def reading(columns, **changes):
        path = write_spec(columns=columns, **changes)
        return read_examples(parse_spec(json.loads(path.read_text())))

    return reading


def test_rows_without_text_or_target_are_skipped_and_counted(read):
    examples = read(
        {"text": ["a", "", None, " "] + ["b", "c"] * 6, "label": ["x"] * 5 + ["y"] * 10 + [None]}
    )
    assert examples.rows == [0, *range(4, 15)]
    assert examples.warnings[:2] == [
        "3 rows have no text in text: skipped.",
        "1 row has no label: skipped.",
    ]


def test_any_column_type_becomes_text_and_labels(read):
    examples = read({"text": list(range(12)), "label": [0.0, 1.0] * 6})
    assert examples.label_names == ["0", "1"]
    assert examples.texts[3] == "3"


def test_several_text_columns_are_joined_in_their_order(read):
    columns = {"a": ["one"] * 12, "b": [None, "two"] * 6, "label": ["x", "y"] * 6}
    examples = read(columns, text_columns=["b", "a"])
    assert examples.texts[:2] == ["one", "two\none"]


def test_rare_and_contradicting_labels_are_warned_about(read):
    examples = read(
        {
            "text": ["a"] * 2 + [f"t{n}" for n in range(11)],
            "label": ["x", "z"] + ["x"] * 6 + ["y"] * 5,
        }
    )
    assert "The label z has fewer than 3 rows" in examples.warnings[0]
    assert "1 text appears with different labels" in examples.warnings[1]


@pytest.mark.parametrize(
    ("columns", "detail", "words"),
    [
        (
            {"text": ["a"] * 20, "other": ["x"] * 20},
            "missing_column",
            "The columns are: text, other",
        ),
        ({"text": ["a"] * 4, "label": ["x", "y"] * 2}, "too_few_rows", "Only 4 rows"),
        ({"text": [None] * 20, "label": ["x", "y"] * 10}, "too_few_rows", "Only 0 rows"),
        ({"text": ["a"] * 20, "label": ["x"] * 20}, "too_few_labels", "same label, 'x'"),
        ({"text": ["a"] * 20, "label": list(range(20))}, "too_many_labels", "20 different labels"),
    ],
)
def test_data_nothing_can_be_learnt_from_is_refused_with_advice(read, columns, detail, words):
    with pytest.raises(BadTrainingData, match=words) as refusal:
        read(columns)
    assert refusal.value.detail == detail
