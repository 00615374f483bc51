"""Owners and admins export and erase a visitor from the page of a conversation."""

import pytest

from accounts.models import AuditEntry, Membership, Role
from assistants.conversations import state
from assistants.lifecycle import add_channel
from assistants.models import Conversation, Message, Visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(assistant, alice) -> Conversation:
    """Of a visitor whose name nobody knows."""
    channel = add_channel(assistant, "web", alice, allowed_origins=["https://shop.test"])
    visitor = Visitor.objects.create(channel=channel, external_hash="a" * 64)
    before = Conversation.objects.create(channel=channel, visitor=visitor)
    state.append_message(before, Message.Author.VISITOR, "the first time")
    state.close(before, Conversation.Outcome.RESOLVED)
    talk = Conversation.objects.create(channel=channel, visitor=visitor)
    state.append_message(talk, Message.Author.VISITOR, "and again")
    return talk


def test_a_visitor_is_exported_and_erased_from_the_page(talk, alice, client_of):
    page, path = client_of(alice), f"/conversations/{talk.pk}/"
    assert "Erase this visitor" in page.get(path).content.decode()
    told = page.get(f"{path}visitor.json")
    assert "attachment" in told["Content-Disposition"]
    said = [row["messages"][0]["text"] for row in told.json()["conversations"]]
    assert said == ["the first time", "and again"]
    assert page.post(f"{path}erase-visitor/").status_code == 302
    assert not Visitor.objects.exists()
    assert not Message.objects.exists()
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"assistant.visitor-exported", "assistant.visitor-erased"} <= actions


def test_members_may_not(talk, bob, team, client_of):
    Membership.objects.update_or_create(team=team, user=bob, defaults={"role": Role.MEMBER})
    page, path = client_of(bob), f"/conversations/{talk.pk}/"
    assert "Erase this visitor" not in page.get(path).content.decode()
    assert page.get(f"{path}visitor.json").status_code == 403
    assert page.post(f"{path}erase-visitor/").status_code == 403
    assert Visitor.objects.exists()


def test_over_the_api_by_conversation(talk, assistant, api, token):
    path = f"/api/v1/assistants/{assistant.pk}/visitors"
    assert len(api(token).get(f"{path}?conversation={talk.pk}").json()["conversations"]) == 2
    assert api(token).get(f"{path}?conversation=x").status_code == 400
    unknown = Conversation.objects.create(channel=assistant.channels.get(kind="api"))
    assert api(token).get(f"{path}?conversation={unknown.pk}").status_code == 400
    assert api(token).delete(f"{path}?conversation={talk.pk}").json()["deleted_conversations"] == 2
