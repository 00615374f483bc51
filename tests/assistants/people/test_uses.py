"""What an assistant depends on is not taken away unmentioned, and it is found by its name."""

import pytest
from django.utils.timezone import now

from assistants.models import Assistant, Version
from inference import deployments
from inference.models import Deployment
from inference.queries.search import search
from projects.lifecycle import archive_project
from training.models import TrainedModel
from web.browser.trash import StillInUse

pytestmark = pytest.mark.django_db


def test_the_project_of_an_answering_assistant_stays(assistant, project, alice):
    for answering in ("live", "paused"):
        Assistant.objects.update(state=answering)
        with pytest.raises(StillInUse, match="shop-help"):
            archive_project(project, alice)
    Assistant.objects.update(state="draft")
    archive_project(project, alice)


def test_the_endpoint_that_writes_stays(assistant, alice, project, team, monkeypatch):
    model = TrainedModel(task="text-generation")
    endpoint = Deployment(team=team, project=project, name="writer", model=model)
    writer = {"model": "writer", "url": "", "style": ""}
    moment = now()
    version = Version.objects.create(
        assistant=assistant, number=1, status="live", encoder="e", promise=0.9, writer=writer,
        out_of_scope_share=0.1, measured_at=moment, live_at=moment,
    )  # fmt: skip
    Assistant.objects.update(state="live")
    with pytest.raises(StillInUse, match="shop-help"):
        deployments.retire(endpoint, alice)
    for other in ({**writer, "model": "another"}, {**writer, "url": "https://llm.example/v1"}):
        version.writer = other
        version.save(update_fields=["writer"])
        with pytest.raises(deployments.AlreadyRetired):  # It was never stored.
            deployments.retire(endpoint, alice)


def test_assistants_and_their_pages_are_found(assistant, team, alice):
    assert ("shop-help", "Assistant") in {(r.name, r.kind) for r in search(team, "shop", alice)}
    assert ("Inbox", "Page") in {(r.name, r.kind) for r in search(team, "inb", alice)}
    Assistant.objects.update(state="retired", retired_at=now())
    assert not [result for result in search(team, "shop", alice) if result.kind == "Assistant"]
