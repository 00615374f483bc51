"""What pages do to projects, datasets, fine-tunes, models and deployments, over the API."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import AuditEntry, TokenScope
from assistants.models import Assistant
from inference.models import Deployment
from projects.models import Dataset, Project
from tests.conftest import issue
from training.models import Status, TrainedModel, TrainingJob
from web.browser.trash import TRASH_DAYS

RENAMED = {
    "projects": "project",
    "datasets": "dataset",
    "training-jobs": "job",
    "models": "model",
}
REMOVABLE = {**RENAMED, "deployments": "deployment", "assistants": "assistant"}
RETIRED = ("deployments", "assistants")  # They have a state of their own.
ROWS = {
    "projects": Project,
    "datasets": Dataset,
    "training-jobs": TrainingJob,
    "models": TrainedModel,
    "deployments": Deployment,
    "assistants": Assistant,
}


@pytest.fixture
def unused(things):
    """The same, with nothing under way and nothing that holds on to anything."""
    TrainingJob.objects.update(status=Status.CANCELLED, finished_at=now())
    return things


@pytest.fixture
def address(things):
    def of(kind, action=""):
        return f"/api/v1/{kind}/{things[REMOVABLE[kind]]}{action}"

    return of


def actions():
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


@pytest.mark.parametrize("kind", RENAMED)
def test_a_name_is_changed_and_audited_as_on_the_page(kind, things, token, api, address):
    answer = api(token).patch(address(kind), {"name": "  Card questions "}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "Card questions")
    assert api(token).get(address(kind)).json()["name"] == "Card questions"
    assert actions()[-1] == f"{REMOVABLE[kind]}.renamed"
    assert AuditEntry.objects.order_by("pk").last().target == "Card questions"


@pytest.mark.parametrize("kind", RENAMED)
def test_tags_and_notes_are_kept_without_a_name(kind, things, token, api, address):
    name = api(token).get(address(kind)).json()["name"]
    body = {"tags": ["Gold", "gold", " two  words "], "notes": "From May.\nChecked."}
    answer = api(token).patch(address(kind), body, format="json").json()
    assert (answer["tags"], answer["notes"]) == (["Gold", "two words"], "From May.\nChecked.")
    assert answer["name"] == name
    assert actions()[-1] == f"{REMOVABLE[kind]}.described"
    assert api(token).patch(address(kind), {"tags": []}, format="json").json()["tags"] == []


@pytest.mark.parametrize("kind", RENAMED)
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"nmae": "x"}, None),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": None}, "name"),
        ({"name": ["a"]}, "name"),
    ],
)
def test_a_body_that_changes_nothing_or_too_much_is_refused(
    kind, body, param, things, token, api, address
):
    before = api(token).get(address(kind)).json()
    answer = api(token).patch(address(kind), body, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert api(token).get(address(kind)).json() == before


@pytest.mark.parametrize("tags", [["a,b"], ["x" * 41], [str(n) for n in range(21)], "one", [7, {}]])
def test_tags_that_pages_would_refuse_are_refused(tags, things, token, api, address):
    answer = api(token).patch(address("datasets"), {"tags": tags}, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("tags")


@pytest.mark.parametrize("kind", REMOVABLE)
def test_into_the_trash_and_back(kind, unused, token, api, address):
    client = api(token)
    if kind in ("projects", "models"):
        client.delete(address("deployments"))
    if kind == "projects":
        client.delete(address("assistants"))
    removed = client.delete(address(kind))
    assert removed.status_code == 200, removed.content
    item = client.get("/api/v1/trash").json()["data"][0]
    assert (item["id"], item["restore"]) == (unused[REMOVABLE[kind]], address(kind, "/restore"))
    assert item["gone_at"] > item["removed_at"]
    listed = client.get(f"/api/v1/{kind}").json()["data"]
    if kind not in RETIRED:  # Their lists have what was removed, too, with its state.
        assert removed.json()["archived_at"] is not None
        assert listed == []
    restored = client.post(item["restore"])
    assert restored.status_code == 200
    assert client.get(f"/api/v1/{kind}").json()["data"][0]["id"] == item["id"]
    ids = [one["id"] for one in client.get("/api/v1/trash").json()["data"]]
    assert item["id"] not in ids
    retired = "retired" if kind in RETIRED else "archived"
    assert actions()[-2:] == [f"{REMOVABLE[kind]}.{retired}", f"{REMOVABLE[kind]}.restored"]


@pytest.mark.parametrize(
    ("kind", "use"),
    [
        ("projects", "The fine-tune “Support intents” is queued"),
        ("projects", "The endpoint “intents” is live"),
        ("datasets", "The fine-tune “Support intents” is queued"),
        ("training-jobs", "The fine-tune “Support intents” is queued"),
        ("models", "The endpoint “intents” is live"),
    ],
)
def test_what_is_in_use_stays_and_its_uses_are_named(kind, use, things, token, api, address):
    answer = api(token).delete(address(kind))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "still_in_use")
    assert use in error["message"]
    assert api(token).get(address(kind)).json()["archived_at"] is None


@pytest.mark.parametrize("kind", REMOVABLE)
def test_after_thirty_days_nothing_comes_back(kind, things, token, api, address):
    since = now() - timedelta(days=TRASH_DAYS, minutes=1)
    field = "retired_at" if kind in RETIRED else "archived_at"
    state = {"state": "retired"} if kind == "assistants" else {}
    ROWS[kind].objects.filter(pk=things[REMOVABLE[kind]]).update(**{field: since}, **state)
    answer = api(token).post(address(kind, "/restore"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "too_late_to_restore")
    assert api(token).get("/api/v1/trash").json()["data"] == []


def test_a_dataset_waits_for_its_project(unused, token, api, address):
    client = api(token)
    for kind in ("deployments", "assistants", "datasets", "projects"):
        assert client.delete(address(kind)).status_code == 200
    refused = client.post(address("datasets", "/restore"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "in_trash")
    assert client.post(address("projects", "/restore")).status_code == 200
    assert client.post(address("datasets", "/restore")).status_code == 200


@pytest.mark.parametrize("kind", REMOVABLE)
def test_a_token_that_may_only_read_changes_nothing(kind, unused, team, alice, api, address):
    reader = api(issue(team, alice, scopes=[TokenScope.READ]))
    before = reader.get(address(kind)).json()
    answers = [reader.delete(address(kind)), reader.post(address(kind, "/restore"))]
    answers.append(reader.patch(address(kind), {"name": "x"}, format="json"))
    assert {answer.status_code for answer in answers} == {403}
    assert reader.get(address(kind)).json() == before


def test_the_trash_is_listed_in_pages_and_to_its_team_only(
    unused, token, mallory_token, api, address
):
    client = api(token)
    for kind in ("deployments", "assistants", "models", "training-jobs", "datasets", "projects"):
        assert client.delete(address(kind)).status_code == 200, kind
    seen, after = [], ""
    while True:
        page = client.get(f"/api/v1/trash?limit=2{after}").json()
        seen += [one["kind"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['data'][-1]['id']}"
    assert seen == ["project", "dataset", "training_job", "model", "assistant", "deployment"]
    assert client.get("/api/v1/trash?after=nothing").status_code == 400
    assert api(mallory_token).get("/api/v1/trash").json()["data"] == []
