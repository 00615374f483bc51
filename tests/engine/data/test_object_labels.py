"""Labels in lists of objects: the field that names them is found, or asked for."""

# ruff: noqa: E501 - a table of cases, one to a line.

import json

import pytest

from engine.data.labels.objects import find_label_keys, label_names
from engine.data.multilabel_parsing import parse_label_cells
from engine.data.targets import read_targets
from engine.errors import BadTrainingData
from engine.spec import TextSpec, parse_spec

TOPICS = ["billing", "refund", "login"]


def cells(make, write=json.dumps):
    return [write(make(n)) for n in range(30)]


def topics(n):
    return [TOPICS[n % 3], *([TOPICS[(n + 1) % 3]] if n % 2 else [])]


@pytest.mark.parametrize(
    ("make", "keys"),
    [
        (lambda n: [{"name": one} for one in topics(n)], ["name"]),
        (lambda n: [{"id": TOPICS.index(one), "name": one} for one in topics(n)], ["name"]),
        (lambda n: [{"name": one, "color": "red" if one == "login" else "blue"} for one in topics(n)], ["name"]),
        (lambda n: [{"label": one, "score": 0.1 * n} for one in topics(n)], ["label"]),
        (lambda n: [{"label": one, "by": f"person {n % 4}"} for one in topics(n)], ["label"]),
        (lambda n: [{"kennung": one, "nr": n} for one in topics(n)], ["kennung"]),
        (lambda n: [{"code": n % 4, "n": n} for _ in topics(n)], ["code"]),
        (lambda n: [{"topic": one, "sentiment": "ab"[n % 2]} for one in topics(n)], ["topic", "sentiment"]),
        (lambda n: [{"thema": one, "art": "abcd"[n % 4]} for one in topics(n)], ["thema", "art"]),
        (lambda n: [{"name": f"only once {n}"}], []),
        (lambda n: [{"role": "user", "content": TOPICS[n % 3]}], []),
        (lambda n: [{"start": n, "end": n + 2, "label": TOPICS[n % 3]}], []),
        (lambda n: topics(n), []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("write", [json.dumps, str])
def test_the_field_is_found_by_what_the_cells_say(make, keys, write):
    assert find_label_keys(cells(make, write)) == keys


def test_lists_of_objects_are_several_labels():
    result = parse_label_cells(
        cells(lambda n: [{"id": 7, "name": one} for one in topics(n)]), "auto", ""
    )
    assert result.labels == [topics(n) for n in range(30)]
    assert result.format_description == "the field 'name' of objects"


def spec(tmp_path) -> TextSpec:
    return parse_spec({"task": "text-classification", "data": str(tmp_path), "output": str(tmp_path),
                       "work": str(tmp_path), "text_columns": ["text"], "target_column": "tags"})  # fmt: skip


def test_single_objects_are_one_label_each(tmp_path):
    truth = read_targets(cells(lambda n: {"id": n % 3, "name": TOPICS[n % 3]}), spec(tmp_path))
    assert (truth.kind, truth.label_names) == ("label", sorted(TOPICS))


def test_several_fields_are_refused_until_one_is_chosen(tmp_path):
    open_ = cells(lambda n: [{"topic": one, "sentiment": "ab"[n % 2]} for one in topics(n)])
    with pytest.raises(BadTrainingData, match="topic, sentiment"):
        read_targets(open_, spec(tmp_path))


def test_names_are_taken_out_of_any_notation():
    assert label_names("[{'name': ' a '}, {'name': 'a'}, {'x': 1}]", "name") == ["a"]
    assert label_names('{"name": "a"}', "name") == ["a"]
    assert label_names("plain", "name") is None
