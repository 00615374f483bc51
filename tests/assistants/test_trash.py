"""Removed assistants: restorable for thirty days, paused, then deleted with all that they know."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils.timezone import now

from accounts.models import AuditEntry
from assistants.errors import AssistantNameTaken, AssistantPurged
from assistants.lifecycle import (
    create_assistant,
    find_assistant,
    restore_assistant,
    retire_assistant,
)
from assistants.models import (
    Answer,
    Assistant,
    Channel,
    Conversation,
    Message,
    Source,
    Version,
    Visitor,
)
from assistants.trash.purge import purge_assistants
from projects.lifecycle import archive_project
from projects.models import Dataset
from web.browser.trash import InTrash, TooLateToRestore

LONG_AGO, LATELY = timedelta(days=31), timedelta(days=29)
HELD = (Answer, Channel, Conversation, Message, Source, Version, Visitor)


@pytest.fixture
def trash(client_of, alice, team):
    client = client_of(alice)
    return lambda: client.get(f"/teams/{team.slug}/trash/").content.decode()


def retire(client, assistant):
    form = {"typed_name": assistant.name}
    return client.post(f"/assistants/{assistant.pk}/retire/", form)


def test_what_is_removed_is_named_before_and_comes_back_paused(live, alice, client_of, trash):
    assistant, client = live.assistant, client_of(alice)
    page = client.get(f"/assistants/{assistant.pk}/settings/").content.decode()
    assert "API: nobody is answered there any more." in page
    retire(client, assistant)
    assert f"/assistants/{assistant.pk}/restore/" in trash()
    assert "In the trash since" in client.get(f"/assistants/{assistant.pk}/").content.decode()
    answer = client.post(f"/assistants/{assistant.pk}/restore/", follow=True)
    assert "It answers once you resume it." in answer.content.decode()
    assistant.refresh_from_db()
    assert (assistant.state, assistant.retired_at) == ("paused", None)
    assert f"/assistants/{assistant.pk}/restore/" not in trash()
    assert AuditEntry.objects.filter(action="assistant.restored").count() == 1
    client.post(f"/assistants/{assistant.pk}/restore/")  # Once more changes nothing.
    assert AuditEntry.objects.filter(action="assistant.restored").count() == 1


def test_one_without_a_live_version_comes_back_as_a_draft(assistant, alice, client_of):
    retire(client_of(alice), assistant)
    assistant.refresh_from_db()
    restore_assistant(assistant, alice)
    assert assistant.state == "draft"


def test_it_does_not_come_back_over_another_name_nor_without_its_project(
    assistant, alice, client_of
):
    retire(client_of(alice), assistant)
    assistant.refresh_from_db()
    other = create_assistant(assistant.project, assistant.name, alice)
    with pytest.raises(AssistantNameTaken, match="is called"):
        restore_assistant(assistant, alice)
    other.delete()
    archive_project(assistant.project, alice)
    with pytest.raises(InTrash):
        restore_assistant(Assistant.objects.get(), alice)


def test_after_thirty_days_it_cannot_come_back(assistant, alice):
    Assistant.objects.update(state="retired", retired_at=now() - LONG_AGO)
    assistant.refresh_from_db()
    with pytest.raises(TooLateToRestore):
        restore_assistant(assistant, alice)


@pytest.mark.parametrize("who", ["vera", "mallory"])
def test_others_restore_nothing(who, request, assistant, client_of):
    Assistant.objects.update(state="retired", retired_at=now())
    client = client_of(request.getfixturevalue(who))
    answer = client.post(f"/assistants/{assistant.pk}/restore/")
    assert answer.status_code == (403 if who == "vera" else 404)
    assert Assistant.objects.get().state == "retired"


def test_what_can_come_back_or_answers_is_not_deleted(live):
    assert purge_assistants() == 0
    Assistant.objects.update(state="retired", retired_at=now() - LATELY)
    assert purge_assistants() == 0
    assert Version.objects.exists()


def test_an_upgrade_keeps_what_those_retired_before_were_promised(assistant, project, alice):
    other = create_assistant(project, "other", alice)
    retire_assistant(other, alice)
    step = import_module("assistants.migrations.0024_keeps_history")
    step.keep_what_was_promised(apps, None)
    kept = dict(Assistant.objects.values_list("name", "keeps_history"))
    assert kept == {assistant.name: False, "other": True}


def test_what_was_said_stays_where_that_was_promised_until_it_is_removed_anew(live, alice):
    Assistant.objects.update(state="retired", retired_at=now() - LONG_AGO, keeps_history=True)
    assert purge_assistants() == 0
    assert Version.objects.exists()
    Assistant.objects.update(retired_at=now() - LATELY)
    restore_assistant(live.assistant, alice)
    retire_assistant(live.assistant, alice)
    Assistant.objects.update(retired_at=now() - LONG_AGO)
    assert purge_assistants() == 1


def test_what_lay_there_for_too_long_is_deleted_but_for_its_name(
    live, api, token, alice, mallory, client_of
):
    question = {"text": "where is my order", "visitor": "v1"}
    asked = api(token).post("/v1/assistants/shop-help/consult", question)
    assert asked.status_code == 200, asked.content
    assert all(kind.objects.exists() for kind in HELD)
    datasets = Dataset.objects.count()
    Assistant.objects.update(
        state="retired", retired_at=now() - LONG_AGO, writer_key="sealed", voice_key="sealed"
    )
    assert purge_assistants() == 1
    assert [kind.__name__ for kind in HELD if kind.objects.exists()] == []
    assert Dataset.objects.count() == datasets
    row = Assistant.objects.get()
    assert (row.writer_key, row.voice_key, row.name) == ("", "", live.assistant.name)
    assert purge_assistants() == 0
    with pytest.raises(AssistantPurged):
        find_assistant(alice, row.pk)
    assert client_of(alice).get(f"/assistants/{row.pk}/").status_code == 410
    assert client_of(mallory).get(f"/assistants/{row.pk}/").status_code == 404
    AuditEntry.objects.get(action="assistant.purged")
