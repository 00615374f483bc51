"""The list of versions says what each changed, and comparisons count what differs."""

import pytest

from projects.importing import imports
from projects.importing.editing import edit_version
from projects.importing.uploads import reimport
from projects.queries.changes import list_versions
from projects.queries.comparison import compare_versions

pytestmark = pytest.mark.django_db
FILE = b"text,label,price\n" + b"".join(
    b"text %d,%s,%s\n" % (n, [b"yes", b"no"][n % 2], b"-" if n == 3 else b"%d.0" % n)
    for n in range(12)
)


def finished(version):
    imports.import_version(version.pk)
    version.refresh_from_db()
    assert version.status == "ready", version.failure
    return version


def test_each_version_says_what_it_changed_and_not_what_earlier_ones_did(bring_in, alice):
    first = bring_in(FILE)
    merge = {"op": "merge_values", "column": "label", "values": ["yes", "no"], "to": "both"}
    second = finished(edit_version(first, [merge], alice))
    drop = {"op": "drop_rows", "rows": [0, 1]}
    third = finished(edit_version(second, [drop, {"op": "drop_duplicates"}], alice))
    fourth = finished(reimport(third, {**third.overrides, "columns": {"price": "text"}}, alice))
    fifth = finished(reimport(first, {"header_rows": 1}, alice))
    lines = list_versions([fifth, fourth, third, second, first])
    assert [(line.change, line.further) for line in lines] == [
        ("read another way", 0),
        ("price read as: text", 0),
        ("2 rows deleted", 1),
        ("yes, no became both in label", 0),
        ("", 0),
    ]


@pytest.mark.parametrize("key", ["", "text"])
def test_a_column_read_as_numbers_differs_only_where_its_cells_do(bring_in, alice, key):
    first = bring_in(FILE)
    as_text = finished(reimport(first, {"columns": {"price": "text"}}, alice))
    as_numbers = finished(reimport(first, {"columns": {"price": "number:1234.5+missing"}}, alice))
    comparison = compare_versions(as_text, as_numbers, key=key)
    assert comparison.counts == {"changed": 1, "added": 0, "removed": 0}
    (row,) = comparison.rows
    assert [(cell.column, cell.before, cell.after) for cell in row.cells] == [("price", "-", None)]


def test_a_question_shows_the_cells_that_it_is_about(bring_in):
    cells = [f"{n + 100}.5" for n in range(60)]
    cells[7], cells[20] = "many", "-"
    lines = [f"row {n},{cell}" for n, cell in enumerate(cells)]
    version = bring_in("\n".join(["text,price", *lines]).encode())
    (question,) = version.profile["questions"]
    assert question["cells"][0] == "many"
    assert len(question["cells"]) == 5
    assert question["readings"][1]["values"][0] is None
    assert None not in question["readings"][1]["values"][2:]
