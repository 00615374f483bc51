"""Edits over the API: each makes a new version, and only what was asked for changes."""

import pyarrow.parquet as pq
import pytest

from projects import storage
from projects.importing import imports
from projects.models import DatasetVersion
from tests.pictures import photos, zipped

pytestmark = pytest.mark.django_db
TABLE = "text,label,n\n" + "".join(
    f"question {n},{['pay', 'Pay ', 'ship'][n % 3]},{n}\n" for n in range(12)
)


@pytest.fixture
def edit(bring_in, api, token):
    version = bring_in(TABLE.encode())

    def post(*edits, of=version):
        answer = api(token).post(f"/api/v1/datasets/{of.dataset_id}/edits", {"edits": list(edits)})
        if answer.status_code != 202:
            return answer, None
        imports.import_version(answer.json()["version_id"])
        made = DatasetVersion.objects.get(pk=answer.json()["version_id"])
        with storage.open_file(made.parquet_key) as file:
            return made, pq.read_table(file).to_pydict()

    return post


def test_labels_are_merged_in_a_new_version_that_knows_where_it_comes_from(edit, api, token):
    made, table = edit({"op": "merge_values", "column": "label", "values": ["Pay"], "to": "pay"})
    assert table["label"] == ["pay", "pay", "ship"] * 4
    answer = api(token).get(f"/api/v1/datasets/{made.dataset_id}").json()
    assert (answer["version"], answer["based_on"]) == (2, 1)
    assert answer["edits"][0]["op"] == "merge_values"
    first = made.dataset.versions.get(number=1)
    assert {one["label"]: one["count"] for one in first.profile["class_balance"]}["Pay"] == 4


def test_cells_rows_and_columns_change_in_the_order_of_the_edits(edit):
    made, table = edit(
        {"op": "drop_rows", "rows": [0, 1]},
        {"op": "set_cells", "column": "label", "rows": [0], "value": "new"},
        {"op": "set_cells", "column": "n", "rows": [1], "value": None},
        {"op": "drop_missing", "column": "n"},
        {"op": "drop_column", "column": "n"},
    )
    assert list(table) == ["text", "label"]
    assert table["text"] == ["question 2", *(f"question {n}" for n in range(4, 12))]
    assert table["label"][0] == "new"
    assert made.rows == 9
    assert [column["name"] for column in made.columns] == ["text", "label"]


def test_rows_are_changed_by_what_is_in_them(edit):
    made, table = edit(
        {"op": "set_matching", "column": "label", "value": "cash",
         "filters": [{"column": "label", "operator": "is", "value": "pay"}]},
        {"op": "clip", "column": "n", "low": 2, "high": 8.5},
        {"op": "merge_rare", "column": "label", "least": 5, "to": "rest"},
    )  # fmt: skip
    assert set(table["label"]) == {"rest"}
    assert table["n"] == [2, 2, 2, *range(3, 9), 8, 8, 8]
    assert made.rows == 12
    refused, _ = edit({"op": "clip", "column": "n", "low": "nan", "high": 3}, of=made)
    assert refused.status_code == 400


def test_entities_become_the_characters_they_stand_for_and_json_stays_json(bring_in, edit):
    rows = [
        "&lt;b&gt;R&amp;D",
        "AT&T; said &amp;amp;",
        '["a &quot;b&quot;"]',
        "&#39;&#x4e2d;&nbsp;x",
        "&bogus;",
    ]
    quoted = [row.replace('"', '""') for row in rows]
    version = bring_in(
        "\n".join(["text,n", *(f'"{row}",{n}' for n, row in enumerate(quoted))]).encode()
    )
    made, table = edit({"op": "decode_entities", "column": "text"}, of=version)
    assert table["text"] == ["<b>R&D", "AT&T; said &amp;", '["a \\"b\\""]', "'\u4e2d x", "&bogus;"]
    again, table = edit({"op": "decode_entities", "column": "text"}, of=made)
    assert table["text"][1] == "AT&T; said &"
    assert again.dataset.versions.get(number=1).rows == 5


def test_further_edits_follow_the_earlier_ones(edit):
    made, _ = edit({"op": "drop_rows", "rows": [0]})
    again, table = edit({"op": "drop_rows", "rows": [0]}, of=made)
    assert table["text"][0] == "question 2"
    assert len(again.overrides["edits"]) == 2


def test_repeats_are_dropped_but_the_first(bring_in, edit):
    version = bring_in(b"a,b\n1,x\n1,x\n1,y\n2,z\n1,x\n")
    _, table = edit({"op": "drop_duplicates"}, of=version)
    assert table == {"a": [1, 1, 2], "b": ["x", "y", "z"]}
    again = bring_in(b"a,b\n1,x\n1,x\n1,y\n2,z\n1,x\n3,w\n")
    _, table = edit({"op": "drop_duplicates", "column": "a"}, of=again)
    assert table == {"a": [1, 2, 3], "b": ["x", "z", "w"]}


def test_pictures_are_relabelled_and_dropped(bring_in, edit):
    files = {f"{label}/{number}.png": content for (label, number), content in photos(4).items()}
    version = bring_in(zipped(files), "photos.zip")
    _, table = edit(
        {"op": "merge_values", "column": "label", "values": ["blue", "green"], "to": "cold"},
        {"op": "drop_rows", "rows": [0]},
        of=version,
    )
    assert sorted(table["label"]) == ["cold"] * 8 + ["red"] * 3
    assert set(table["image"]) <= set(files.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"op": "explode"},
        {"op": "drop_column", "column": "nothing"},
        {"op": "drop_column"},
        {"op": "drop_rows", "rows": []},
        {"op": "drop_rows", "rows": [12]},
        {"op": "drop_rows", "rows": [-1]},
        {"op": "drop_rows", "rows": list(range(12))},
        {"op": "set_cells", "column": "n", "rows": [1], "value": "many"},
        {"op": "set_cells", "column": "n", "value": "1"},
        {"op": "merge_values", "column": "label", "values": ["pay"]},
        {"op": "merge_values", "column": "n", "values": ["1"], "to": "one"},
        {"op": "drop_duplicates", "column": "nothing"},
        {"op": "decode_entities", "column": "n"},
        {"op": "decode_entities"},
    ],
)
def test_an_edit_that_does_not_fit_is_refused_and_makes_no_version(edit, wrong):
    answer, _ = edit(wrong)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("edits")
    assert DatasetVersion.objects.count() == 1


def test_rows_of_feedback_are_added_behind_all_others(edit):
    made, table = edit(
        {"op": "add_rows", "cells": [
            {"text": "it's new", "label": "ship", "n": "12"},
            {"text": "another one", "label": None},
        ]},
        {"op": "drop_rows", "rows": [0, 13]},
    )  # fmt: skip
    assert table["text"] == [*(f"question {n}" for n in range(1, 12)), "it's new"]
    assert (table["label"][-1], table["n"][-1]) == ("ship", 12)
    assert made.rows == 12


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [{}],
        [{"text": " ", "label": None}],
        [{"nothing": "x"}],
        [{"text": "x", "n": "many"}],
        [{"text": "x", "n": "1.5"}],
        [{"text": "x"}] * 1001,
    ],
)
def test_rows_that_do_not_fit_are_not_added(edit, cells):
    answer, _ = edit({"op": "add_rows", "cells": cells})
    assert answer.status_code == 400
    assert DatasetVersion.objects.count() == 1


def test_values_with_quotes_are_only_values(edit):
    evil = "x'); DROP TABLE t; --"
    _, table = edit({"op": "set_cells", "column": "label", "rows": [0], "value": evil})
    assert table["label"][0] == evil
