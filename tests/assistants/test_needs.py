"""What of its assistants a team's overview says needs somebody."""

from types import SimpleNamespace

import pytest
from django.utils.timezone import now

from accounts.models import Notice
from assistants.models import Conversation, Version
from assistants.queries.needs import assistants_needs
from assistants.versions import building
from tests.assistants.made import record
from training.models import TrainingJob
from web.child_process import Finished
from web.row_queue import claim_rows

COPIED = (
    "team", "project", "dataset_version", "compute_class", "launched_by", "task", "base_model",
    "recipe", "estimate", "data_facts",
)  # fmt: skip
pytestmark = pytest.mark.django_db


def sentences(assistant):
    return [need.sentence for need in assistants_needs(assistant.team)]


def test_a_version_that_could_not_be_measured_is_told_and_shown_until_a_newer_one(
    live, alice, client_of, monkeypatch
):
    assistant = live.assistant
    assert sentences(assistant) == []
    version = building.create_version(assistant, alice)
    broken = Finished(returncode=1, stdout="", stderr="no space left on device")
    monkeypatch.setattr(building, "child_process", SimpleNamespace(run=lambda *_, **__: broken))
    building.build_pending()
    version.refresh_from_db()
    assert version.status == "failed"
    notice = Notice.objects.get(event="assistant.version_failed")
    assert sentences(assistant) == [notice.sentence] == [f"{version} failed. {building.FAILURE}"]
    page = client_of(alice).get(f"/teams/{assistant.team.slug}/").content.decode()
    assert f"{version} failed." in page
    Version.objects.create(
        assistant=assistant, number=version.number + 1, encoder="x", promise=0.9,
        out_of_scope_share=0.1,
    )  # fmt: skip
    assert sentences(assistant) == []


def test_a_version_whose_measuring_is_killed_begins_again_and_fails_in_the_end(
    taught, alice, monkeypatch
):
    version, killed = building.create_version(taught, alice), []

    def run(*_, **__):
        killed.append(1)
        return Finished(returncode=-9, stdout="", stderr="")

    monkeypatch.setattr(building, "child_process", SimpleNamespace(run=run))
    building.build(claim_rows(type(version).objects.all(), limit=1)[0])
    version.refresh_from_db()
    assert (version.status, version.claimed_until, len(killed)) == ("building", None, 1)
    assert not Notice.objects.filter(event="assistant.version_failed").exists()
    building.build_pending()
    version.refresh_from_db()
    assert (version.status, len(killed)) == ("failed", building.MAX_ATTEMPTS)


def test_visitors_who_wait_and_a_broken_promise_need_somebody(live):
    assistant = live.assistant
    for text in ("one", "two"):
        talk = record(assistant, live, text).message.conversation
        Conversation.objects.filter(pk=talk.pk).update(
            state="waiting", handed_over_at=now(), handed_over_reason="asked"
        )
        expected = "A visitor waits for a person." if text == "one" else "2 visitors wait"
        assert sentences(assistant)[0].startswith(expected)
    Version.objects.update(promise_broken_at=now())
    assert sentences(assistant)[1:] == [f"{live} answers below its promise."]
    type(assistant).objects.update(state="retired", retired_at=now())
    assert len(sentences(assistant)) == 1


def test_a_broken_promise_is_not_buried_below_failed_fine_tunes(live, job, alice, client_of):
    assistant = live.assistant
    Version.objects.update(promise_broken_at=now())
    for number in range(8):
        TrainingJob.objects.create(
            **{name: getattr(job, name) for name in COPIED},
            name=f"attempt {number}", status="failed", failure_code="diverged", finished_at=now(),
        )  # fmt: skip
    page = client_of(alice).get(f"/teams/{assistant.team.slug}/").content.decode()
    assert page.index("answers below its promise.") < page.index("attempt 7” failed")
    needs = page[page.index("Needs you") :]
    assert all(f"“attempt {number}” failed" in needs for number in range(8))
