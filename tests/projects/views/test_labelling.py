"""A column labelled from scratch: the least sure rows first, saved as a new version."""

import json
import random

import pytest

from projects.importing import imports
from projects.models import DatasetVersion
from projects.queries.labelling import next_rows
from projects.queries.rows import RowQuery, load_rows

pytestmark = pytest.mark.django_db
WORDS = {
    "money": ["card", "bank", "refund", "invoice"],
    "parcel": ["box", "door", "courier", "late"],
}
DICE = random.Random(0)


def sentence(*topics):
    return " ".join(DICE.choice(WORDS[topics[n % len(topics)]]) for n in range(6))


SURE = [sentence("money") if n % 2 else sentence("parcel") for n in range(40)]
TORN = [sentence("money", "parcel") for _ in range(4)]


def call(client, version, step, **facts):
    base = {"column": "topic", "texts": ["text"], "labels": {}, "skipped": []}
    address = f"/datasets/{version.dataset_id}/label/{step}/?version={version.number}"
    return client.post(address, json.dumps(base | facts), content_type="application/json")


@pytest.fixture
def version(bring_in):
    rows = [f"{text},{n}" for n, text in enumerate([*SURE, *TORN])]
    return bring_in("\n".join(["text,n", *rows]).encode())


def test_rows_between_two_labels_come_first_and_labels_become_a_column(version, client_of, alice):
    client = client_of(alice)
    assert client.get(f"/datasets/{version.dataset_id}/label/?column=topic").status_code == 200
    first = call(client, version, "next").json()
    assert [one["row"] for one in first["rows"]] == list(range(10))
    assert (first["remaining"], first["order"]) == (44, "file")
    labels = {str(n): "money" if n % 2 else "parcel" for n in range(20)}
    batch = call(client, version, "next", labels=labels, skipped=[43]).json()
    assert batch["order"] == "labels"
    assert {one["row"] for one in batch["rows"][:3]} == {40, 41, 42}
    sure = next_rows(version, "topic", {int(n): one for n, one in labels.items()}, ["text"])
    assert sure.remaining == 24
    saved = call(client, version, "save", labels=labels)
    assert saved.json() == {"url": f"/datasets/{version.dataset_id}/"}
    newest = version.dataset.latest
    imports.import_version(newest.pk)
    newest = DatasetVersion.objects.get(pk=newest.pk)
    page = load_rows(newest, RowQuery(page_size=50))
    place = list(page.columns).index("topic")
    expected = [labels.get(str(n)) for n in range(44)]
    assert [row.cells[place] for row in page.rows] == expected
    after = call(client, newest, "next").json()
    assert (after["remaining"], after["order"]) == (24, "labels")


@pytest.mark.parametrize(
    "facts",
    [
        {"texts": ["nobody"]},
        {"texts": []},
        {"labels": {"x": "a"}},
        {"labels": []},
        {"column": " "},
        {"skipped": 3},
    ],
)
def test_what_makes_no_sense_is_refused(version, client_of, alice, facts):
    assert call(client_of(alice), version, "next", **facts).status_code == 400
    assert call(client_of(alice), version, "save", **{"labels": {}} | facts).status_code == 400


def test_a_row_that_is_not_there_and_a_stranger_are_refused(version, client_of, alice, mallory):
    assert call(client_of(alice), version, "save", labels={"44": "a"}).status_code == 400
    for step in ("next", "save"):
        assert call(client_of(mallory), version, step, labels={"1": "a"}).status_code == 404
    assert client_of(mallory).get(f"/datasets/{version.dataset_id}/label/").status_code == 404
