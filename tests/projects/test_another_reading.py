"""Another reading of a file keeps what was done to its table, or asks before any of it is lost."""

import pytest

from projects.errors import EditsWouldBeLost, UnknownReading
from projects.importing.another_reading import choose_readings, read_another_way
from projects.importing.editing import edit_version
from projects.importing.imports import import_version
from projects.models import DatasetVersion
from projects.queries.rows import RowQuery, load_rows

pytestmark = pytest.mark.django_db
FILE = b"text,label,price\n" + b"".join(
    b"text %d,%s,%d\n" % (n, [b"yes", b"no"][n % 2], n) for n in range(12)
)
MERGE = {"op": "merge_values", "column": "label", "values": ["yes"], "to": "ja"}
SET = {"op": "set_cells", "column": "label", "rows": [3], "value": "perhaps"}


@pytest.fixture
def edited(bring_in, alice):
    """A version with two edits, a chosen reading of a column, and a masked column."""
    version = bring_in(FILE)
    version.overrides = {"columns": {"price": "text"}, "mask": ["text"]}
    version.save()
    version = edit_version(version, [MERGE, SET], alice)
    import_version(version.pk)
    return DatasetVersion.objects.get(pk=version.pk)


def newest(version):
    return DatasetVersion.objects.filter(dataset=version.dataset).order_by("-number")[0]


def test_the_same_reading_keeps_everything(edited, alice):
    # What is chosen by hand here is what was detected.
    again = read_another_way(edited, {"encoding": "utf-8", "header_rows": 1}, alice)
    kept = {name: again.overrides.get(name) for name in edited.overrides}
    assert kept == edited.overrides
    import_version(again.pk)
    again.refresh_from_db()
    rows = load_rows(again, RowQuery(page_size=50))
    assert rows.rows[3].cells[list(rows.columns).index("label")] == "perhaps"


def test_edits_by_row_are_lost_only_when_confirmed_and_those_before_them_stay(edited, alice):
    with pytest.raises(
        EditsWouldBeLost, match=r"lose edits \(1 of 2\) and chosen readings of columns \(0 of 1\)"
    ):
        read_another_way(edited, {"short_rows": "fill"}, alice)
    assert newest(edited) == edited
    again = read_another_way(edited, {"short_rows": "fill"}, alice, discards_edits=True)
    assert again.overrides == {
        "short_rows": "fill",
        "mask": ["text"],
        "columns": {"price": "text"},
        "edits": [MERGE],
        "based_on": 1,
    }


def test_columns_of_other_names_leave_no_edit_and_no_reading_but_the_masking(edited, alice):
    with pytest.raises(
        EditsWouldBeLost, match=r"\(2 of 2\) .* \(1 of 1\): .* Personal data"
    ) as asked:
        read_another_way(edited, {"delimiter": ";"}, alice)
    assert (asked.value.status, asked.value.param) == (409, "discard_edits")
    again = read_another_way(edited, {"delimiter": ";"}, alice, discards_edits=True)
    assert again.overrides == {"delimiter": ";", "mask": ["text"]}


def test_an_encoding_may_rename_what_is_not_ascii(bring_in, alice):
    version = bring_in(FILE.replace(b"label", "größe".encode()))
    version.overrides = {"edits": [{**MERGE, "column": "größe"}]}
    with pytest.raises(EditsWouldBeLost, match=r"edits \(1 of 1\)"):
        read_another_way(version, {"encoding": "latin-1"}, alice)


def test_edits_that_did_not_fit_can_be_discarded(edited, alice):
    edited.failure_code = "bad_edit"
    with pytest.raises(EditsWouldBeLost, match=r"edits \(2 of 2\)"):
        read_another_way(edited, {}, alice)
    again = read_another_way(edited, {}, alice, discards_edits=True)
    assert again.overrides == {"columns": {"price": "text"}, "mask": ["text"]}


def test_another_header_asks_and_the_present_one_does_not(edited, alice):
    with pytest.raises(EditsWouldBeLost):
        choose_readings(edited, {"": "header:0"}, alice)
    assert choose_readings(edited, {"": "header:1"}, alice).overrides["edits"] == [MERGE, SET]


def test_readings_of_columns_come_with_the_present_header_but_not_with_another(edited, alice):
    both = {"": "header:1", "price": "number:1234.5"}
    assert choose_readings(edited, both, alice).overrides["columns"] == {"price": "number:1234.5"}
    with pytest.raises(UnknownReading, match="other names"):
        choose_readings(edited, both | {"": "header:0"}, alice, discards_edits=True)


def test_the_page_asks_and_goes_on_when_confirmed(edited, client_of, alice):
    client = client_of(alice)
    address = f"/datasets/{edited.dataset_id}/import-again/?version={edited.number}"
    asked = client.post(address, {"skip_lines": "1", "delimiter": "tab"})
    page = asked.content.decode()
    assert asked.status_code == 409
    assert "lose edits (2 of 2)" in page
    assert '<input type="hidden" name="delimiter" value="tab">' in page
    assert newest(edited) == edited
    again = client.post(address, {"skip_lines": "1", "delimiter": "tab", "discard_edits": "true"})
    assert again.status_code == 302
    assert newest(edited).overrides == {"skip_lines": 1, "delimiter": "\t", "mask": ["text"]}
    reading = f"/datasets/{edited.dataset_id}/reading/?version={edited.number}"
    assert client.post(reading, {"column": "", "reading": "header:0"}).status_code == 409


def test_the_api_asks_and_goes_on_when_confirmed(edited, api, token):
    address = f"/api/v1/datasets/{edited.dataset_id}/readings"
    body = {"columns": {"": "header:0"}}
    asked = api(token).post(address, body, format="json")
    error = asked.json()["error"]
    assert (asked.status_code, error["code"]) == (409, "edits_would_be_lost")
    assert "Send discard_edits: true" in error["message"]
    assert newest(edited) == edited
    confirmed = api(token).post(address, body | {"discard_edits": True}, format="json")
    assert confirmed.status_code == 202
    assert newest(edited).overrides == {"header_rows": 0, "mask": ["text"]}
