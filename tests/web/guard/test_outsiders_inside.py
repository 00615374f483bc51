"""What lies inside a thing of Acme's, asked for by its own id, or as if it were inside another."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import resolve
from django.utils.timezone import now

from assistants.lifecycle import create_assistant
from assistants.models import (
    Answer,
    Assistant,
    Conversation,
    Decision,
    Judgement,
    Message,
    Phrasing,
    Rule,
    Source,
    TestCase,
)
from inference.models import ApiFile, Batch, FileUpload
from projects.models import DatasetVersion, Project
from tests.web.test_outsiders import PLACE, concrete, routes

pytestmark = pytest.mark.django_db
REFUSED = {403, 404, 405}


@pytest.fixture
def inside(things, alice) -> dict[str, str]:
    """Rows of Acme's assistant by the part of the address that comes before their ids."""
    assistant = Assistant.objects.get(pk=things["assistant"])
    channel = assistant.channels.get()
    version = DatasetVersion.objects.get(pk=things["version"])
    answer = Answer.objects.create(assistant=assistant, key="secret", text="Acme's secret")
    conversation = Conversation.objects.get(pk=things["conversation"])
    question = Message.objects.create(
        conversation=conversation, channel=channel, author="visitor", text="Why?", seq=1
    )
    decision = Decision.objects.create(message=question, route="refuse")
    rows = {
        "answers": answer,
        "phrasings": Phrasing.objects.create(answer=answer, text="Why?", text_hash="0" * 64),
        "sources": Source.objects.create(
            assistant=assistant, dataset_version=version, mapping={}
        ),
        "rules": Rule.objects.create(
            assistant=assistant, position=1, name="r", when={"contains": ["x"]},
            then={"do": "refuse"}, examples_yes=["x"], examples_no=["y"],
        ),
        "test-cases": TestCase.objects.create(
            assistant=assistant, question="Why?", expects="refuse"
        ),
        "decisions": decision,
        "replies": Judgement.objects.create(
            decision=decision, verdict="wrong", text="No.", person=alice
        ),
        "send-again": question,
    }  # fmt: skip
    return {place: str(row.pk) for place, row in rows.items()} | {
        "written-replies": str(rows["replies"].pk)
    }


def address_of(route: str, values: dict[str, str], inside: dict[str, str]) -> str | None:
    """The address with ids of rows inside; None for a route that names none."""
    for place, key in inside.items():
        pattern = rf"(?<=\b{place}/)<(?:int:(?:pk|\w+_id)|uuid:decision_id)>"
        route = re.sub(pattern, key, route)
    named = any(f"{place}/{key}" in route for place, key in inside.items())
    return concrete(PLACE.sub(_as_number(values), route), values) if named else None


def _as_number(values: dict[str, str]):
    def fill(match: re.Match[str]) -> str:
        is_number = match[0].startswith("<int:")
        return "1" if is_number else {"action": "accept"}.get(match["name"], match[0])

    return fill


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_gets_no_row_inside_an_assistant(things, inside, mallory, client_of, method):
    client, seen = client_of(mallory), {}
    for route, _ in routes():
        path = address_of(route, things, inside)
        if path and not route.startswith(("api/", "v1/")):
            assert resolve(path)
            seen[path] = getattr(client, method)(path).status_code
    assert len(seen) >= 9
    assert {path: code for path, code in seen.items() if code not in REFUSED} == {}


@pytest.mark.parametrize("whose", ["acme", "mallory"])
@pytest.mark.parametrize("method", ["get", "post", "patch", "delete"])
def test_a_strangers_token_gets_no_row_inside_an_assistant(
    things, inside, mallory, mallory_token, api, method, whose
):
    """Nor under an assistant of the stranger's own."""
    values = dict(things)
    if whose == "mallory":
        team = mallory_token.team
        project = Project.objects.create(team=team, name="Other")
        values["assistant"] = str(create_assistant(project, "other", mallory).pk)
    client, seen = api(mallory_token), {}
    for route, _ in routes():
        path = address_of(route, values, inside)
        if path and route.startswith("api/v1/"):
            assert resolve(path)
            seen[path] = getattr(client, method)(path, {"action": "draft"}).status_code
    if whose == "mallory":
        assistant = values["assistant"]
        for part in ("channels", "conversations"):
            path = f"/api/v1/assistants/{assistant}/{part}/{things[part[:-1]]}"
            seen[path] = getattr(client, method)(path, {}).status_code
    assert len(seen) >= 5
    assert {path: code for path, code in seen.items() if code not in REFUSED} == {}


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_strangers_token_gets_nothing_of_acme_on_the_wire(
    things, team, mallory_token, api, method
):
    tomorrow = now() + timedelta(days=1)
    file = ApiFile.objects.create(
        team=team, purpose="batch", filename="a.jsonl", bytes=1, storage_key="files/none"
    )
    upload = FileUpload.objects.create(
        team=team, purpose="batch", filename="a.jsonl", bytes=1, expires_at=tomorrow
    )
    batch = Batch.objects.create(
        team=team, endpoint="/v1/classify", completion_window="24h", input_file=file,
        expires_at=tomorrow,
    )  # fmt: skip
    values = {
        "file": f"file-{file.pk.hex}", "upload": f"upload_{upload.pk.hex}",
        "batch": f"batch_{batch.pk.hex}", "job": f"ftjob-{uuid.UUID(things['job']).hex}",
        "conversation": things["conversation"], "name": "shop-help", "token": "t",
        "permission": "cp_1",
    }  # fmt: skip
    body = {
        "text": "Why?", "id": things["conversation"], "helpful": True, "model": "m",
        "messages": [{"role": "user", "content": "Why?"}],
    }  # fmt: skip
    client, seen = api(mallory_token), {}
    for route, _ in routes():
        path = concrete(route, values)
        if route.startswith("v1/") and "<" in route:
            seen[f"{method} {path}"] = getattr(client, method)(path, body).status_code
    assert len(seen) >= 20
    assert {key: code for key, code in seen.items() if code not in REFUSED | {401}} == {}
