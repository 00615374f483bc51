"""The list of datasets shows what is in each, at no further query."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from projects.models import Dataset, DatasetVersion
from projects.queries.dataset_list import list_with_glances
from tests.pictures import photos, zipped


@pytest.fixture
def glance(bring_in, project):
    """What the list shows of a file."""

    def bring(content, filename="data.csv"):
        version = bring_in(content, filename)
        assert version.status == "ready", version.failure_sentence
        listed = list_with_glances(Dataset.objects.filter(pk=version.dataset_id))
        return listed[0][2]

    return bring


def rows(header, lines):
    return "\n".join([header, *lines]).encode()


def test_labels_are_bars_and_names_with_the_first_text(glance):
    words = ["card", "transfer", "refund", "limit", "pin"]
    lines = [
        f"The {words[n % 5]} did not work for me at shop number {n} today,{words[n % 5]}"
        for n in range(60)
    ]
    shown = glance(rows("message,topic", lines))
    assert (len(shown.bars), len(shown.labels), shown.more_labels) == (5, 3, 2)
    assert set(shown.labels) < set(words)
    assert "did not work for me" in shown.sample
    assert shown.bars[0].title == "card: 12 rows"


def test_numbers_are_a_histogram_from_the_least_to_the_greatest(glance):
    lines = [f"{n % 7},{n * 3 % 11},{10 + n * 1.5}" for n in range(80)]
    shown = glance(rows("rooms,floor,price", lines))
    assert shown.span == "10 – 128.5"
    assert (len(shown.bars) > 3, shown.labels) == (True, [])


def test_a_chat_begins_with_what_is_said_first(glance):
    chats = [
        {"messages": [{"role": "user", "content": f"Where is order {n}?"},
                      {"role": "assistant", "content": f"Order {n} left our house."}]}
        for n in range(20)
    ]  # fmt: skip
    shown = glance("\n".join(map(json.dumps, chats)).encode(), "chats.jsonl")
    assert shown.sample.startswith("Where is order")
    assert "role" not in shown.sample


def test_pictures_are_shown_from_the_whole_of_the_file(glance, alice, client_of, project):
    shown = glance(
        zipped({f"{label}/{n}.png": content for (label, n), content in photos(each=4).items()}),
        "photos.zip",
    )
    assert shown.pictures == [0, 6, 11]
    assert set(shown.labels) == {"red", "green", "blue"}
    page = client_of(alice).get(f"/teams/{project.team.slug}/datasets/").content.decode()
    assert page.count('loading="lazy"') == 3


def test_what_is_still_importing_or_unknown_shows_nothing(project, dataset, alice, client_of):
    Dataset.objects.create(project=project, name="no version yet")
    for _, _, shown in list_with_glances(Dataset.objects.filter(project=project)):
        assert (shown.bars, shown.labels, shown.pictures) == ([], [], [])
    assert client_of(alice).get(f"/teams/{project.team.slug}/datasets/").status_code == 200


def test_only_the_newest_version_is_read_however_many_there_are(bring_in, project):
    version = bring_in(b"message,topic\nWhere is it,a\nWho is it,b\n")
    for number in range(2, 9):
        copy = DatasetVersion.objects.get(pk=version.pk)
        copy.pk, copy.number, copy._state.adding = None, number, True
        copy.save()
    with CaptureQueriesContext(connection) as captured:
        ((_, newest, _),) = list_with_glances(Dataset.objects.filter(project=project))
    assert newest.number == 8
    assert len(captured.captured_queries) == 2


@pytest.mark.slow
def test_the_page_stays_small_beside_a_wide_table(bring_in, project, alice, client_of):
    lines = [
        ",".join([*(str(row * n % 17) for n in range(300)), "ab"[row % 2]]) for row in range(30)
    ]
    bring_in(rows(",".join([*(f"column{n}" for n in range(300)), "topic"]), lines))
    page = client_of(alice).get(f"/teams/{project.team.slug}/datasets/").content
    assert len(page) < 60_000
