"""Label cells in every notation people use become the same labels, or stay one label a row."""

import csv
import json
import random
from itertools import pairwise

import numpy as np
import pytest

from engine.data.multilabel_parsing import (
    parse_label_cells,
    possible_separator,
    split_labels,
)

TOPICS = ["billing", "refund", "late delivery", "account", "log-in", "price"]


def random_label_sets(count: int = 120, seed: int = 0, topics: list[str] = TOPICS):
    generator = random.Random(seed)
    return [generator.sample(topics, generator.choice([1, 1, 2, 2, 3])) for _ in range(count)]


NOTATIONS = {
    "a JSON list": json.dumps,
    "a Python list": repr,
    "a Python list (tuples)": lambda labels: repr(tuple(labels)),
    "a Python list (sets)": lambda labels: "{" + ", ".join(map(repr, labels)) + "}",
    "a numpy array": lambda labels: str(np.array(labels)),
    "a numpy array (repr)": lambda labels: repr(np.array(labels, dtype=object)),
    "a numpy array (bare words)": lambda labels: "[" + ", ".join(labels) + "]",
    "a JSON list (choices)": lambda labels: json.dumps({"choices": labels}),
    "separated by '|'": "|".join,
    "separated by ';'": "; ".join,
    "separated by ','": ", ".join,
    "separated by '\\n'": "\n".join,
    "separated by '/'": "/".join,
}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_every_notation_gives_the_labels_that_were_written(notation, seed):
    sets = random_label_sets(seed=seed)
    parsed = parse_label_cells([NOTATIONS[notation](labels) for labels in sets], "auto", "")
    assert parsed is not None
    assert parsed.format_description == notation.split(" (")[0]
    assert [sorted(labels) for labels in parsed.labels] == [sorted(labels) for labels in sets]


def test_hashtags_are_labels_without_their_mark():
    cells = ["#billing #refund", "#refund", "#price #billing"]
    parsed = parse_label_cells(cells, "auto", "")
    assert parsed.labels == [["billing", "refund"], ["refund"], ["price", "billing"]]


def test_commas_and_quotes_inside_a_listed_label_do_not_cut_it():
    sets = [["account, other", 'the "big" one'], ["it's late"], ["a|b", "c;d"]]
    for write in (json.dumps, repr):
        parsed = parse_label_cells([write(labels) for labels in sets], "auto", "")
        assert parsed.labels == sets


def test_label_studio_writes_one_choice_plainly_and_several_as_an_object():
    cells = ["payment", '{"choices": ["delivery", "payment"]}', "account"]
    parsed = parse_label_cells(cells, "auto", "")
    assert parsed.labels == [["payment"], ["delivery", "payment"], ["account"]]


def test_empty_lists_are_rows_without_a_label():
    parsed = parse_label_cells(["[]", '["a"]', '["a", "b"]'], "auto", "")
    assert parsed.labels == [[], ["a"], ["a", "b"]]
    assert parse_label_cells(["set()", "{'a'}"], "auto", "").labels == [[], ["a"]]


@pytest.mark.parametrize(
    "cells", [["[0, 1, 0]", "[1, 1, 0]"], ["0 1 0", "1 1 0"], ["0,1,0", "1,1,0"]]
)
def test_a_vector_names_its_positions_and_says_so(cells):
    parsed = parse_label_cells(cells, "auto", "")
    assert parsed.labels == [["position 2"], ["position 1", "position 2"]]
    assert "position 3" in parsed.doubt


def test_vectors_of_different_lengths_are_no_vectors():
    parsed = parse_label_cells(["[0, 1, 0]", "[1, 1]"], "auto", "")
    assert parsed is None or "vector" not in parsed.format_description


def test_one_comma_in_every_label_keeps_one_label_a_row_and_can_be_asked():
    things, states = (
        ["Garden", "Electronics", "Books", "Toys"],
        ["new", "used", "broken", "as gift"],
    )
    cells = [f"{thing}, {state}" for thing in things for state in states] * 4
    assert parse_label_cells(cells, "auto", "") is None
    assert possible_separator(cells) == ","
    assert parse_label_cells(cells, "several", "").labels[0] == ["Garden", "new"]


@pytest.mark.parametrize(
    "cells",
    [
        ["card", "transfer", "refund"] * 20,
        [f"I would like, please, item number {number} / today" for number in range(60)],
        ["New York", "Los Angeles", "San Diego"] * 10,
        ["[draft] mail", "(see note) mail", "plain"] * 10,
        ["3/4", "1/2", "7/8"] * 10,
        [f"{first} {second}" for first, second in pairwise(TOPICS * 8)],
    ],
)
def test_single_labels_and_prose_stay_whole(cells):
    assert parse_label_cells(cells, "auto", "") is None


def test_a_declared_separator_is_obeyed_even_a_blank():
    assert parse_label_cells(["a b", "b"], "several", " ").labels == [["a", "b"], ["b"]]
    assert parse_label_cells(["[a] b", "b"], "auto", " ").labels == [["[a]", "b"], ["b"]]


@pytest.mark.parametrize("mark", ["、", "，", "；", "｜", "／", "<br>", " + ", " & ", "·"])
def test_marks_of_other_languages_separate_labels_that_combine_freely(mark):
    cells = [mark.join(labels) for labels in random_label_sets(topics=["物流", "退款", "账号"])]
    assert {label for one in parse_label_cells(cells, "auto", "").labels for label in one} == {
        "物流", "退款", "账号",
    }  # fmt: skip


@pytest.mark.parametrize(
    "notation",
    [
        lambda labels: "{" + ",".join(labels) + "}",
        lambda labels: "c(" + ", ".join(f'"{one}"' for one in labels) + ")",
        lambda labels: "".join(f"#{one}#" for one in labels),
        lambda labels: "".join(f"【{one}】" for one in labels),
        lambda labels: ", ".join(f'"{one}"' for one in labels),
        lambda labels: json.dumps({one: one in labels for one in TOPICS}),
    ],
)
def test_notations_of_other_tools_are_read(notation):
    sets = random_label_sets(topics=TOPICS[:2] + TOPICS[3:4])
    parsed = parse_label_cells([notation(labels) for labels in sets], "auto", "")
    assert [sorted(labels) for labels in parsed.labels] == [sorted(labels) for labels in sets]


def test_a_damaged_cell_does_not_change_how_the_others_are_read():
    cells = [", ".join(labels) for labels in random_label_sets()] + ["refund)"]
    assert parse_label_cells(cells, "auto", "").format_description == "separated by ','"
    assert parse_label_cells(["<l>a</l><l>b</l>", "<l>a</l>", "<l>b</l>"] * 9, "auto", "") is None


@pytest.mark.parametrize(
    "labels", [["R & D", "H & M"], ["Basic + Extra", "Pro + Max"], ["约翰·李", "玛丽·史密斯"]]
)
def test_names_that_hold_such_a_mark_stay_one_label(labels):
    assert parse_label_cells(labels * 20, "auto", "") is None


def test_one_label_a_row_is_obeyed():
    assert parse_label_cells(['["a", "b"]', '["a"]'], "one", "") is None


def test_words_between_blanks_are_only_ever_asked_about():
    cells = [
        " ".join(labels) for labels in random_label_sets(topics=["billing", "refund", "price"])
    ]
    assert parse_label_cells(cells, "auto", "") is None
    assert possible_separator(cells) == " "


def test_deep_nesting_and_damage_are_no_lists_and_no_crash():
    for cell in ("[" * 100_000, "{'a'", "[1, [2", "array([", "#", "# #", "{}", "(", '{"x": 1}'):
        parse_label_cells([cell, '["a"]'], "auto", "")


@pytest.mark.parametrize("reader", ["mail", "row"])
def test_the_shared_example_files_agree_in_all_notations(shared, reader):
    """Files of one content in many notations: each gives the labels of its JSON list."""
    folder = (
        shared / "cases" / ("16b-multilabel-many" if reader == "row" else "16-multilabel-notations")
    )
    expected = None
    for name in ("json_list", "python_list", "numpy", "comma"):
        with open(folder / f"{name}.csv", newline="") as file:
            rows = list(csv.reader(file))[1:]
        parsed = parse_label_cells([row[-1] for row in rows], "auto", "")
        labels = [sorted(found) for found in parsed.labels]
        expected = expected or labels
        assert labels == expected, name


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("R&amp;D", ["R&amp;D"]),
        ("R&amp;D;sales", ["R&amp;D", "sales"]),
        ("caf&#233;; t&#xEA;te ;R&D;x", ["caf&#233;", "t&#xEA;te", "R&D", "x"]),
        ("a & b;c", ["a & b", "c"]),
        ("&;a", ["&", "a"]),
        ("R&Dept;x", ["R&Dept", "x"]),
    ],
)
def test_the_semicolon_of_an_html_entity_separates_nothing(cell, labels):
    assert split_labels(cell, ";") == labels


def test_labels_with_entities_are_not_suspected_to_be_several():
    assert possible_separator(["R&amp;D", "Sales", "R&amp;D", "Q&amp;A"] * 10) == ""
