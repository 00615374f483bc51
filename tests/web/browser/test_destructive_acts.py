"""Nothing that ends something happens at one press: every such form of every page asks first."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve, reverse
from django.utils.timezone import now

from accounts.models import Membership, Role
from accounts.teams import membership
from assistants.models import Answer, Source, TestCase
from inference.models import ApiFile, Batch, Deployment, Purpose, TablePrediction
from projects.lifecycle import create_project
from projects.models import Dataset
from tests.web.test_outsiders import concrete, is_acmes, routes
from training.models import Status, TrainingJob

ENDS_SOMETHING = re.compile(
    r"\b(retire|archive|revoke|remove|withdraw|delete|rotate|cancel)\b(?!-plan)"
)
# Asked on a page of their own, or undone at the next press.
ASKED_ELSEWHERE = {"billing:cancel", "billing:cancel-plan", "account_logout"}


class Forms(HTMLParser):
    """The actions of a page's forms, each with whether it stands in a dialog."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, bool]] = []
        self._dialogs = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dialog":
            self._dialogs += 1
        if tag == "form":
            action = urlsplit(dict(attrs).get("action") or "").path
            self.found.append((action, self._dialogs > 0))

    def handle_endtag(self, tag: str) -> None:
        if tag == "dialog":
            self._dialogs -= 1


def view_of(path: str) -> str:
    try:
        return resolve(path).view_name
    except Resolver404:
        return ""


def ending_views() -> set[str]:
    names = {name for route, name in routes() if not route.startswith(("accounts/", "api/", "v1/"))}
    return {name for name in names if ENDS_SOMETHING.search(name)} - ASKED_ELSEWHERE


def _answer_a_table(things) -> None:
    """Let the endpoint be answering a table."""
    prediction = TablePrediction.objects.select_related("deployment__model").get()
    model = prediction.deployment.model
    model.manifest = {"inputs": {"kind": "text", "columns": ["text"]}}
    model.save()
    file = ApiFile.objects.create(
        team=prediction.team, purpose=Purpose.BATCH, filename="t.jsonl", bytes=1, storage_key="t"
    )
    batch = Batch.objects.create(
        team=prediction.team,
        endpoint="/v1/classify",
        completion_window="24h",
        input_file=file,
        status="in_progress",
        expires_at=now(),
    )
    TablePrediction.objects.update(batch=batch, next_at=None)


@pytest.fixture
def forms(things, team, alice, job, client_of):
    """Every form of every page of Acme's, by the view it posts to."""
    membership.invite(team, alice, email="grace@acme.test", role="member")
    Source.objects.create(
        assistant_id=things["assistant"],
        dataset_version_id=things["version"],
        mapping={},
        passages=1,
    )
    TestCase.objects.create(assistant_id=things["assistant"], question="x", expects="refuse")
    answer = Answer.objects.create(assistant_id=things["assistant"], key="hours", text="Nine.")
    answer.phrasings.create(text="When are you open?", text_hash="0" * 64)
    _answer_a_table(things)
    client, seen = client_of(alice), {}
    paths = {concrete(route, things) for route, _ in routes() if is_acmes(route, things)}
    paths |= {"/settings/", reverse("assistants:answer", args=[answer.pk])}
    done = TrainingJob.objects.filter(pk=job.pk)
    for is_finished in (False, True):
        for path in sorted(paths):
            if path.startswith(("/accounts/", "/api/", "/v1/")) or path.endswith("/live/"):
                continue
            answer = client.get(path)
            if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
                continue
            for action, asks in Forms(answer.content.decode()).found:
                seen.setdefault(view_of(action), []).append((path, asks))
        if not is_finished:  # What is in use cannot be removed.
            done.update(status=Status.CANCELLED, finished_at=job.created_at)
            Deployment.objects.update(retired_at=job.created_at)
            Membership.objects.filter(team=team).update(role=Role.OWNER)
    return seen


def test_every_form_that_ends_something_asks_first(forms):
    at_once = {
        f"{view} on {path}"
        for view, places in forms.items()
        if view in ending_views()
        for path, asks in places
        if not asks
    }
    assert at_once == set()
    assert ending_views() <= set(forms), "a page must offer each, or the walk sees nothing of it"


def test_an_endpoint_and_a_project_go_only_with_their_name_typed(things, alice, client_of):
    client = client_of(alice)
    for path in (
        f"/deployments/{things['deployment']}/retire/",
        f"/projects/{things['project']}/archive/",
    ):
        assert client.post(path).status_code == 400
        assert client.post(path, {"typed_name": "something else"}).status_code == 400


@pytest.mark.parametrize(
    ("datasets", "words"),
    [(0, "It holds no dataset."), (1, "Its dataset disappears"), (2, "Its 2 datasets disappear")],
)
def test_a_dialog_counts_as_people_do(team, alice, client_of, datasets, words):
    project = create_project(team, "Churn", alice)
    for number in range(datasets):
        Dataset.objects.create(project=project, name=f"d{number}")
    page = client_of(alice).get(f"/projects/{project.pk}/").content.decode()
    dialog = page.partition("<dialog")[2].partition("</dialog>")[0]
    assert words in " ".join(dialog.split())
    assert not re.search(r"\b0 [a-z]", dialog)
