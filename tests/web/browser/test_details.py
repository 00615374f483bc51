"""Names, tags and notes: changed on the page of a thing, found in its list and by the search."""

import pytest

from accounts.models import AuditEntry
from projects.models import Dataset, Project
from training.models import TrainedModel, TrainingJob

PLACES = {
    "project": (Project, "/projects/{}/", "/teams/{}/"),
    "dataset": (Dataset, "/datasets/{}/", "/teams/{}/datasets/"),
    "job": (TrainingJob, "/jobs/{}/", "/teams/{}/jobs/"),
    "model": (TrainedModel, "/models/{}/", "/teams/{}/models/"),
}


@pytest.fixture(params=PLACES)
def place(request, things):
    """(row, its page, its list)"""
    model, page, listed = PLACES[request.param]
    row = model.objects.get(pk=things[request.param])
    return row, page.format(row.pk), listed.format("acme-labs")


def save(client, page, **form):
    answer = client.post(f"{page}rename/", form)
    assert (answer.status_code, answer.url) == (302, page)
    return client.get(page).content.decode()


def test_tags_and_notes_are_kept_shown_and_found(place, alice, client_of):
    row, page, listed = place
    client = client_of(alice)
    form = {"name": row.name, "tags": " Live , q3  plan,live,<b>x</b>, ", "notes": "Try <i>it</i>"}
    shown = save(client, page, **form)
    row.refresh_from_db()
    assert (row.tags, row.notes) == (["Live", "q3 plan", "<b>x</b>"], "Try <i>it</i>")
    assert "&lt;b&gt;x&lt;/b&gt;" in shown
    assert "Try &lt;i&gt;it&lt;/i&gt;" in shown
    assert page in client.get(listed, {"tag": "q3 plan"}).content.decode()
    assert page not in client.get(listed, {"tag": "other"}).content.decode()
    found = client.get("/teams/acme-labs/search/", {"q": "q3 plan"}).content.decode()
    assert page in found


def test_a_form_of_the_name_alone_leaves_the_rest(place, alice, client_of):
    row, page, _ = place
    client = client_of(alice)
    save(client, page, name=row.name, tags="a", notes="b")
    save(client, page, name="Other")
    row.refresh_from_db()
    assert (row.name, row.tags, row.notes) == ("Other", ["a"], "b")
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert any(action.endswith(".described") for action in actions)
    assert any(action.endswith(".renamed") for action in actions)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "Name: "),
        ({"name": "x" * 300}, "Name: "),
        ({"tags": "x" * 41}, "longer than 40"),
        ({"tags": ",".join(f"t{n}" for n in range(21))}, "at most 20 tags"),
        ({"notes": "x" * 4001}, "Notes: "),
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(place, alice, client_of, form, words):
    row, page, _ = place
    assert words in save(client_of(alice), page, **{"name": "Other", "tags": "a"} | form)
    before = row.name
    row.refresh_from_db()
    assert (row.name, row.tags) == (before, [])


def test_a_viewer_changes_nothing_of_it(place, vera, client_of):
    assert client_of(vera).post(f"{place[1]}rename/", {"name": "x"}).status_code == 403
