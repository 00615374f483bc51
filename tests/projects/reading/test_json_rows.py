"""Rows are found in every shape in which programs write them as JSON, or refused by name."""

import json

import pytest

from projects.reading.json.rows import NoRows, find_rows, parse_documents
from projects.reading.json.shapes import flatten_rows

ROWS = [{"text": f"question {number}", "label": f"topic {number % 3}"} for number in range(12)]
TEXTS = [row["text"] for row in ROWS]
LABELS = [row["label"] for row in ROWS]


@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"data": ROWS},
        {"version": "1.0", "count": 12, "examples": ROWS},
        {"result": {"page": 1, "items": ROWS}},
        {"a": {"b": {"c": {"rows": ROWS}}}},
        {"text": TEXTS, "label": LABELS},
        {
            "text": {str(n): text for n, text in enumerate(TEXTS)},
            "label": {str(n): label for n, label in enumerate(LABELS)},
        },
        {str(number): row for number, row in enumerate(ROWS)},
        {
            "columns": ["text", "label"],
            "index": list(range(12)),
            "data": [list(r.values()) for r in ROWS],
        },
        {"schema": {"fields": []}, "data": [{"index": n, **row} for n, row in enumerate(ROWS)]},
        [["text", "label"], *[[row["text"], row["label"]] for row in ROWS]],
    ],
    ids=range(11),
)
def test_the_same_rows_come_out_of_every_shape(document):
    assert find_rows(json.loads(json.dumps(document))).rows == ROWS


def test_parts_are_joined_and_named():
    found = find_rows({"train": ROWS[:8], "test": ROWS[8:], "version": 2})
    assert [row["split"] for row in found.rows] == ["train"] * 8 + ["test"] * 4
    assert [{k: row[k] for k in ("text", "label")} for row in found.rows] == ROWS
    assert "train (8), test (4)" in found.notes[0]


def test_what_stands_beside_the_rows_is_named():
    assert find_rows({"licence": "MIT", "data": ROWS}).notes[1].endswith("licence.")


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"questions": ROWS, "answers": ROWS}, "'questions', 'answers'"),
        ({"text": TEXTS, "label": LABELS[:-1]}, "different lengths"),
        ([[{"name": "a"}], [{"name": "b"}, {"name": "c"}]], "list of lists"),
        ({"meta": {"x": 1}, "values": [1, 2]}, "'meta', 'values'"),
        (3, "single value"),
        ("text", "single value"),
    ],
)
def test_what_is_no_table_is_refused_by_name(document, word):
    with pytest.raises(NoRows, match=word):
        find_rows(document)


def test_a_list_of_chats_is_a_column_of_messages():
    chats = [[{"from": "human", "value": "hi"}, {"from": "gpt", "value": str(n)}] for n in range(3)]
    found = find_rows(chats)
    assert found.rows == [{"messages": chat} for chat in chats]
    assert "one chat" in found.notes[0]


def test_one_object_without_lists_is_one_row():
    assert find_rows({"text": "a", "label": "b"}).rows == [{"text": "a", "label": "b"}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("between", ["\n", "\n\n", " ", ",\n"])
def test_documents_after_one_another_are_read_with_their_lines(indent, between):
    text = between.join(json.dumps(row, indent=indent) for row in ROWS)
    found = list(parse_documents(text, json.JSONDecoder()))
    assert [value for _, value in found] == ROWS
    if between.strip(",") == "\n":
        height = text.count("\n") // len(ROWS) + 1
        assert [line for line, _ in found] == [1 + number * height for number in range(len(ROWS))]


def test_text_that_is_no_json_raises_where_it_stands():
    documents = parse_documents('{"a": 1}\n{"b": ', json.JSONDecoder())
    assert next(documents) == (1, {"a": 1})
    with pytest.raises(json.JSONDecodeError):
        next(documents)


def test_nested_objects_become_columns_and_lists_stay():
    rows = [{"ticket": {"subject": "s", "body": {"html": "<b>"}}, "tags": ["a"], "n": 1}]
    assert flatten_rows(rows) == [
        {"ticket.subject": "s", "ticket.body.html": "<b>", "tags": ["a"], "n": 1}
    ]


def test_chats_and_maps_stay_whole():
    chat = {"messages": [{"role": "user", "content": "hi"}], "tools": {"f": {}}}
    assert flatten_rows([chat]) == [chat]
    maps = [{"counts": {f"word {number}": 1}} for number in range(100)]
    assert flatten_rows(maps) == maps


def task(number: int, *choices: str, cancelled: bool = False) -> dict:
    result = {"from_name": "topic", "type": "choices", "value": {"choices": list(choices)}}
    return {
        "id": number,
        "data": {"text": f"text {number}", "source": "web"},
        "annotations": [{"result": [result] if choices else [], "was_cancelled": cancelled}],
    }


def test_label_studio_tasks_become_their_data_and_choice():
    rows = flatten_rows([task(0, "a"), task(1, "a", "b"), task(2), task(3, "c", cancelled=True)])
    assert rows == [
        {"text": "text 0", "source": "web", "topic": "a"},
        {"text": "text 1", "source": "web", "topic": ["a", "b"]},
        {"text": "text 2", "source": "web"},
        {"text": "text 3", "source": "web"},
    ]


def test_the_second_annotation_counts_when_the_first_was_cancelled():
    first, second = task(0, "a", cancelled=True), task(0, "b")
    first["annotations"] += second["annotations"]
    assert flatten_rows([first])[0]["topic"] == "b"


def test_a_control_named_like_a_field_does_not_replace_it():
    one = task(0, "a")
    one["annotations"][0]["result"][0]["from_name"] = "text"
    assert flatten_rows([one]) == [{"text": "text 0", "source": "web", "text_label": "a"}]


def test_json_min_choices_are_labels():
    rows = [{"text": "t", "topics": {"choices": ["a", "b"]}}, {"text": "u", "topics": "a"}]
    assert flatten_rows(rows) == [{"text": "t", "topics": ["a", "b"]}, {"text": "u", "topics": "a"}]
