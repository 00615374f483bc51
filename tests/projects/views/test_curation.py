"""Rows changed on the page, versions compared, tables taken elsewhere and brought back."""

import json

import pytest

from projects.importing import imports
from projects.models import DatasetVersion
from projects.queries.rows import RowQuery, load_rows
from tests.pictures import photos, zipped

pytestmark = pytest.mark.django_db
TOPICS = ["delivery", "payment"]
ROWS = [(f"k{n}", f"my question number {n} is here", TOPICS[n % 2]) for n in range(60)]
TABLE = "\n".join(["id,text,topic", *(",".join(row) for row in ROWS)]).encode()


@pytest.fixture
def change(client_of, alice):
    """Post the bar of the rows' page, and the version that comes of it."""

    def post(version, **fields):
        base = {"action": "set", "column": "topic", "value": "", "scope": "chosen", "query": ""}
        address = f"/datasets/{version.dataset_id}/edit/?version={version.number}"
        answer = client_of(alice).post(address, base | fields)
        newest = version.dataset.latest
        if newest.pk != version.pk:
            imports.import_version(newest.pk)
        return answer, DatasetVersion.objects.get(pk=newest.pk)

    return post


def cells(version, column):
    page = load_rows(version, RowQuery(page_size=100))
    place = list(page.columns).index(column)
    return [row.cells[place] for row in page.rows]


def test_ticked_rows_and_all_that_match_are_set_or_deleted(bring_in, change):
    first = bring_in(TABLE)
    _, second = change(first, value="refund", row=["1", "60"])
    assert cells(second, "topic") == ["refund", *[row[2] for row in ROWS[1:59]], "refund"]
    _, third = change(second, value="money", scope="matching", query="q=number+1&tab=rows")
    numbers = [n for n in range(60) if str(n).startswith("1")]
    assert [n for n, topic in enumerate(cells(third, "topic")) if topic == "money"] == numbers
    query = "column=topic&operator=is&value=money"
    _, fourth = change(third, action="drop", scope="matching", query=query)
    assert fourth.rows == 60 - len(numbers)


def test_more_rows_than_can_be_listed_are_changed_by_the_filter_itself(
    bring_in, change, monkeypatch
):
    monkeypatch.setattr("projects.views.curation.MAX_ROWS_IN_AN_EDIT", 20)
    first = bring_in(TABLE)
    query = "column=topic&operator=is&value=payment"
    _, second = change(first, value="money", scope="matching", query=query)
    assert second.overrides["edits"][0]["op"] == "set_matching"
    assert cells(second, "topic") == ["delivery", "money"] * 30
    _, third = change(second, action="drop", scope="matching", query="q=question+number")
    assert third.status == "failed"  # No row would be left.
    query = "column=topic&operator=is&value=money"
    _, fourth = change(second, action="drop", scope="matching", query=query)
    assert (fourth.status, fourth.rows) == ("ready", 30)


def test_pictures_are_paged_filtered_and_relabelled(bring_in, change, client_of, alice):
    version = bring_in(zipped({f"{one}/{n}.png": c for (one, n), c in photos(20).items()}), "p.zip")
    address, client = f"/datasets/{version.dataset_id}/", client_of(alice)
    assert client.get(address).content.count(b"<figure>") == 50
    assert client.get(f"{address}?page=2").content.count(b"<figure>") == 10
    page = client.get(f"{address}?column=label&operator=is&value=red").content.decode()
    assert page.count("<figure>") == 20
    assert "column=label&amp;operator=is&amp;value=blue" in page
    _, relabelled = change(version, column="label", value="rosy", row=["1", "2"])
    assert cells(relabelled, "label").count("rosy") == 2
    assert b"data-picture" in client.get(f"{address}label/?column=shade").content


@pytest.mark.parametrize(
    "fields",
    [
        {"row": []},
        {"row": ["99"], "status": 400},
        {"row": ["x", "-1"]},
        {"column": "nobody", "row": ["1"], "status": 400},
        {"action": "burn", "row": ["1"], "status": 400},
        {"action": "drop", "scope": "matching", "status": 400},
    ],
)
def test_what_cannot_be_done_makes_no_version(bring_in, change, fields):
    version = bring_in(TABLE)
    status = fields.pop("status", 302)
    answer, newest = change(version, **fields)
    assert (answer.status_code, newest.pk) == (status, version.pk)


def test_two_versions_are_compared_by_number_by_key_and_by_content(
    bring_in, change, client_of, alice
):
    first = bring_in(TABLE)
    _, second = change(first, value="refund", row=["3", "7"])
    address = f"/datasets/{first.dataset_id}/compare/"
    answer = client_of(alice).get(address).context["comparison"]
    assert (answer.matched_by, answer.counts) == ("row", {"changed": 2, "added": 0, "removed": 0})
    assert [(row.number, row.cells[0].before, row.cells[0].after) for row in answer.rows] == [
        (2, "delivery", "refund"),
        (6, "delivery", "refund"),
    ]
    kept = [ROWS[1], *ROWS[10:], ("new", "another question", "payment"), ROWS[1]]
    table = "\n".join(["id,text,topic", *(",".join(row) for row in kept)])
    third = bring_in(table.encode(), dataset=first.dataset)
    answer = client_of(alice).get(address, {"from": 1, "to": third.number}).context["comparison"]
    assert (answer.matched_by, answer.counts) == (
        "content",
        {"changed": 0, "added": 2, "removed": 9},
    )
    query = {"from": second.number, "to": third.number, "key": "id"}
    answer = client_of(alice).get(address, query).context["comparison"]
    assert answer.counts == {"changed": 0, "added": 2, "removed": 9}
    assert client_of(alice).get(address, {"key": "nobody"}).status_code == 400
    assert client_of(alice).get(address, {"page": "x"}).status_code == 400


def test_tasks_of_label_studio_come_back_as_the_table_they_were(bring_in, client_of, alice):
    version = bring_in(TABLE)
    path = f"/datasets/{version.dataset_id}/export/label-studio/"
    exported = b"".join(client_of(alice).get(path)).decode()
    tasks = json.loads(exported)
    assert tasks[0]["data"] == {"id": "k0", "text": ROWS[0][1]}
    again = bring_in(exported.encode(), "tasks.json")
    for column in ("id", "text", "topic"):
        assert cells(again, column) == cells(version, column)
    assert again.profile["suggested"]["target_column"] == "topic"


def test_a_column_is_added_by_program_and_filled(bring_in, api, token):
    version = bring_in(TABLE)
    edits = [
        {"op": "add_column", "column": "mood"},
        {"op": "set_cells", "column": "mood", "rows": [0, 5], "value": "sad"},
    ]
    address = f"/api/v1/datasets/{version.dataset_id}/edits"
    made = api(token).post(address, {"edits": edits}, format="json")
    assert made.status_code == 202, made.content
    imports.import_version(made.json()["version_id"])
    filled = DatasetVersion.objects.get(pk=made.json()["version_id"])
    assert [n for n, mood in enumerate(cells(filled, "mood")) if mood == "sad"] == [0, 5]
    twice = api(token).post(
        address, {"edits": [{"op": "add_column", "column": "TOPIC"}]}, format="json"
    )
    assert twice.status_code == 400


def test_strangers_change_compare_and_export_nothing(bring_in, client_of, mallory):
    version, client = bring_in(TABLE), client_of(mallory)
    base = f"/datasets/{version.dataset_id}/"
    assert client.post(f"{base}edit/", {"row": "1"}).status_code == 404
    for path in ("compare/", "export/csv/", "export/label-studio/"):
        assert client.get(base + path).status_code == 404
