"""The edits that findings offer: rows dropped, drawn, merged and changed by what is in them."""

import pytest

from projects.errors import BadEdit
from projects.importing.editing import edit_version
from projects.importing.imports import import_version
from projects.queries.changes import list_versions
from projects.queries.rows import RowQuery, load_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def fixed(bring_in):
    """The rows of a CSV after these edits, as lists of cells."""

    def fix(lines, *edits):
        version = bring_in("\n".join(lines).encode())
        made = edit_version(version, edits, None)
        import_version(made.pk)
        made.refresh_from_db()
        assert made.status == "ready", made.failure_sentence
        assert list_versions([made, version])[0].change
        return [list(row.cells) for row in load_rows(made, RowQuery(page_size=200)).rows]

    return fix


LABELS = ["text,label", *(f"text {n},{'common' if n % 4 else 'middle'}" for n in range(40))]
LABELS += ["text a,rare", "text b,Rare", "text c,"]


def counts(rows, place=1):
    labels = [row[place] for row in rows]
    return {label: labels.count(label) for label in set(labels)}


def test_rare_values_are_dropped_or_merged_and_empty_cells_are_none(fixed):
    dropped = fixed(LABELS, {"op": "drop_rare", "column": "label", "least": 2})
    assert counts(dropped) == {"common": 30, "middle": 10, None: 1}
    merged = fixed(LABELS, {"op": "merge_rare", "column": "label", "least": 2, "to": "other"})
    assert counts(merged) == {"common": 30, "middle": 10, "other": 2, None: 1}


def test_frequent_values_are_capped_to_the_same_draw_each_time(fixed):
    cap = {"op": "cap_values", "column": "label", "most": 10}
    first, second = fixed(LABELS, cap), fixed([*LABELS, "text d,new"], cap)
    assert counts(first) == {"common": 10, "middle": 10, "rare": 1, "Rare": 1, None: 1}
    assert first == second[:-1]
    kept = [row[0] for row in first if row[1] == "common"]
    assert kept != [row.split(",")[0] for row in LABELS if row.endswith("common")][:10]


def test_rows_of_named_values_are_dropped(fixed):
    rows = fixed(LABELS, {"op": "drop_values", "column": "label", "values": ["common", "rare "]})
    assert counts(rows) == {"middle": 10, "Rare": 1, None: 1}


@pytest.mark.parametrize(
    ("operation", "kept"),
    [
        ("clip", [[1, 1.5], [2, -3.0], [3, None], [100, 50.0]]),
        ("drop_outside", [[1, 1.5], [3, None]]),
    ],
)
def test_far_numbers_are_brought_to_the_ends_or_dropped(fixed, operation, kept):
    lines = ["n,v,x", "1,1.5,a", "2,-900.5,b", "3,,c", "100,1e6,d"]
    rows = fixed(lines, {"op": operation, "column": "v", "low": -3.0, "high": 50.0})
    assert [row[:2] for row in rows] == kept


def test_integers_stay_integers_when_clipped(fixed):
    rows = fixed(["n,x", *(f"{n},a" for n in range(9))],
                 {"op": "clip", "column": "n", "low": 1.5, "high": 6.5})  # fmt: skip
    assert [row[0] for row in rows] == [2, 2, 2, 3, 4, 5, 6, 6, 6]


TEXTS = ["text,label", "Hello there,a", "hello  THERE!,b", "other one,a", "...,a", "!!,b",
         "Hello there,a", " hello there ,b"]  # fmt: skip


def test_texts_that_are_nearly_the_same_are_kept_once(fixed):
    rows = fixed(TEXTS, {"op": "drop_near_duplicates", "columns": ["text"]})
    assert [row[0] for row in rows] == ["Hello there", "other one", "...", "!!"]


def test_equal_texts_get_the_label_of_most_or_are_dropped(fixed):
    edit = {"column": "label", "columns": ["text"]}
    majority = fixed(TEXTS, edit | {"op": "keep_majority"})
    assert [row[1] for row in majority] == ["a", "b", "a", "a", "b", "a", "a"]
    dropped = fixed(TEXTS, edit | {"op": "drop_conflicts"})
    assert [row[0] for row in dropped] == ["hello  THERE!", "other one", "...", "!!"]


def test_numbers_as_labels_keep_their_type_when_the_majority_decides(fixed):
    lines = ["text,stars", "good,5", "good,5", "good,1", *(f"t{n},{n % 5}" for n in range(9))]
    edit = {"op": "keep_majority", "column": "stars", "columns": ["text"]}
    assert [row[1] for row in fixed(lines, edit)][:4] == [5, 5, 5, 0]


def test_rows_of_an_earlier_split_that_stand_in_a_later_one_are_dropped(fixed):
    lines = ["text,part", "one,train", "ONE.,test", "two,train", "two,dev", "two,other",
             "three,Validation", "three,test", "four,train", "four,train"]  # fmt: skip
    rows = fixed(lines, {"op": "drop_leaked", "column": "part", "columns": ["text"]})
    assert rows == [["ONE.", "test"], ["two", "dev"], ["two", "other"], ["three", "test"],
                    ["four", "train"], ["four", "train"]]  # fmt: skip


def test_all_rows_that_match_are_set_or_dropped_however_many(fixed):
    lines = ["text,label", *(f"my question {n},{'ab'[n % 2]}" for n in range(60))]
    filters = [{"column": "label", "operator": "is", "value": "a"}]
    rows = fixed(lines, {"op": "set_matching", "column": "label", "value": "new",
                         "filters": filters, "search": "QUESTION 1"})  # fmt: skip
    assert counts(rows) == {"a": 25, "b": 30, "new": 5}
    assert len(fixed(lines, {"op": "drop_matching", "filters": filters})) == 30


def test_tags_are_stripped_and_other_angles_stay(fixed):
    cells = [
        "<p>Dear <b>team</b>,</p><p>my&nbsp;parcel<br/>is late</p>",
        "<style>p {}</style><ul><li>one</li><li>two</li></ul>",
        "if a < b and c > d",
        "<order-id> is <name>",
        "no tags",
    ]
    rows = fixed(["text,label", *(f'"{cell}",a' for cell in cells)],
                 {"op": "strip_tags", "column": "text"})  # fmt: skip
    assert [row[0] for row in rows] == [
        "Dear team,\nmy&nbsp;parcel\nis late", "one\ntwo", *cells[2:]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "edit",
    [
        {"op": "clip", "column": "label", "low": 1, "high": 2},
        {"op": "clip", "column": "n", "low": 2, "high": 1},
        {"op": "drop_outside", "column": "n"},
        {"op": "drop_rare", "column": "label"},
        {"op": "merge_rare", "column": "label", "least": 5},
        {"op": "merge_rare", "column": "n", "least": 5, "to": "other"},
        {"op": "cap_values", "column": "label", "most": 0},
        {"op": "cap_values", "column": "nobody", "most": 5},
        {"op": "drop_values", "column": "label"},
        {"op": "drop_near_duplicates"},
        {"op": "keep_majority", "column": "label", "columns": ["nobody"]},
        {"op": "strip_tags", "column": "n"},
        {"op": "set_matching", "column": "label", "value": "x"},
        {"op": "set_matching", "column": "n", "value": "x", "search": "text"},
        {"op": "drop_matching", "filters": [{"column": "nobody", "operator": "is", "value": ""}]},
        {"op": "drop_matching", "filters": [{"column": "label", "operator": "less", "value": "a"}]},
        {"op": "drop_matching", "filters": [{"column": "n", "operator": "like", "value": "a"}]},
    ],
)
def test_an_edit_that_lacks_something_is_refused_before_a_version_is_made(bring_in, edit):
    version = bring_in("\n".join(["text,label,n", *(f"t {n},a,{n}" for n in range(9))]).encode())
    with pytest.raises(BadEdit):
        edit_version(version, [edit], None)


def test_a_filter_whose_value_is_of_another_type_fails_the_version_with_a_sentence(bring_in):
    version = bring_in("\n".join(["text,label,n", *(f"t {n},a,{n}" for n in range(9))]).encode())
    filters = [{"column": "n", "operator": "less", "value": "many"}]
    made = edit_version(version, [{"op": "drop_matching", "filters": filters}], None)
    import_version(made.pk)
    made.refresh_from_db()
    assert "another type" in made.failure_sentence
