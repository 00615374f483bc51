"""What people keep among themselves: notes, who is here, and visitors who may not write."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils.timezone import now

from accounts.models import AuditEntry, Membership, Role
from assistants.conversations import readers, state, visitors
from assistants.conversations.consulting import Question, consult
from assistants.conversations.notes import add_note
from assistants.errors import InvalidConsultation
from assistants.lifecycle import add_channel
from assistants.models import Conversation, Message, Note, Visitor

pytestmark = pytest.mark.django_db
NOTE = "Known to shout; ask Bob first."


@pytest.fixture
def channel(live, alice):
    return add_channel(live.assistant, "web", alice, allowed_origins=["https://shop.test"])


@pytest.fixture
def talk(channel) -> Conversation:
    return consult(channel, Question("how do i return an order", visitor="v")).conversation


def write(client, channel, token="", text="how do i track my parcel"):
    return client.post(
        f"/w/{channel.public_key}/messages", {"text": text},
        content_type="application/json", headers={"X-Lathe-Visitor": token},
    )  # fmt: skip


def test_a_note_is_shown_to_people_and_to_nobody_else(
    channel, alice, bob, client_of, client, api, token
):
    token_of_visitor = write(client, channel).json()["visitor"]
    talk = Conversation.objects.get()
    assert client_of(bob).post(f"/conversations/{talk.pk}/note/", {"text": NOTE}).status_code == 302
    shown = client_of(alice).get(f"/conversations/{talk.pk}/messages/").content.decode()
    assert NOTE in shown
    assert "Bob" in shown
    widget = client.get(
        f"/w/{channel.public_key}/messages", headers={"X-Lathe-Visitor": token_of_visitor}
    )
    assert "how do i track" in widget.content.decode()
    assert NOTE not in widget.content.decode()
    assert not Message.objects.filter(text__contains="shout").exists()
    assistant = channel.assistant
    answer = api(token).get(f"/api/v1/assistants/{assistant.pk}/visitors?visitor=x")
    assert NOTE not in answer.content.decode()
    refused = client_of(alice).post(f"/conversations/{talk.pk}/note/", {"text": "  "})
    assert (refused.status_code, Note.objects.count()) == (400, 1)


def test_notes_over_the_api(talk, alice, api, token):
    path = f"/api/v1/assistants/{talk.channel.assistant_id}/conversations/{talk.pk}/notes"
    made = api(token).post(path, {"text": NOTE})
    assert (made.status_code, made.json()["person"]) == (201, "alice@acme.test")
    add_note(talk, alice, "Second.")
    rows = api(token).get(path).json()["data"]
    assert [row["text"] for row in rows] == [NOTE, "Second."]
    Membership.objects.filter(user=alice).update(role=Role.VIEWER)
    assert api(token).get(path).status_code == 403


def test_a_note_goes_with_its_conversation(talk, alice):
    add_note(talk, alice, NOTE)
    talk.delete()
    assert not Note.objects.exists()


@pytest.mark.parametrize(("period", "days"), [("day", 1), ("week", 7), ("always", None)])
def test_a_blocked_visitor_is_refused_and_told_so(channel, alice, client_of, client, period, days):
    token = write(client, channel).json()["visitor"]
    talk = Conversation.objects.get()
    page = client_of(alice)
    before = Message.objects.count()
    blocked = page.post(f"/conversations/{talk.pk}/block/", {"period": period})
    assert blocked.status_code == 302
    until = Visitor.objects.get().blocked_until
    if days is None:
        assert until == visitors.FOR_GOOD
    else:
        assert abs(until - now() - timedelta(days=days)) < timedelta(minutes=1)
    refused = write(client, channel, token)
    assert (refused.status_code, refused.json()["error"]) == (
        400, "You cannot write here at the moment.",
    )  # fmt: skip
    assert Message.objects.count() == before
    assert write(client, channel).status_code == 200  # Somebody else may.
    shown = page.get(f"/conversations/{talk.pk}/").content.decode()
    assert "what they write is refused" in shown
    assert ("for good:" in shown) == (days is None)
    assert AuditEntry.objects.filter(action="assistant.visitor-blocked").count() == 1
    assert page.post(f"/conversations/{talk.pk}/unblock/").status_code == 302
    assert write(client, channel, token).status_code == 200


def test_a_block_ends_by_itself(talk, alice):
    visitors.block(talk, "day", alice)
    with pytest.raises(InvalidConsultation):
        consult(talk.channel, Question("hello", visitor="v"))
    Visitor.objects.update(blocked_until=now() - timedelta(seconds=1))
    assert consult(talk.channel, Question("hello", visitor="v")).conversation == talk


def test_blocking_over_the_api_and_what_cannot_be_blocked(talk, live, api, token, client_of, alice):
    path = f"/api/v1/assistants/{live.assistant_id}/conversations/{talk.pk}"
    assert api(token).post(f"{path}/block", {"period": "year"}).status_code == 400
    assert api(token).post(f"{path}/block", {"period": "week"}).status_code == 200
    assert api(token).get(path).json()["blocked_until"] is not None
    assert api(token).delete(f"{path}/block").json()["blocked_until"] is None
    unknown = consult(live.assistant.channels.get(kind="api"), Question("hello")).conversation
    assert unknown.visitor is None
    refused = client_of(alice).post(f"/conversations/{unknown.pk}/block/", {"period": "day"})
    assert refused.status_code == 400
    page = client_of(alice).get(f"/conversations/{unknown.pk}/").content.decode()
    assert "Block this visitor" not in page


def test_each_page_tells_who_else_has_it_open(talk, alice, bob, vera, client_of, api, token):
    path = f"/conversations/{talk.pk}/presence/"
    cache.delete_many(readers._key(talk, one.pk) for one in (alice, bob, vera))
    one, two = client_of(alice), client_of(bob)
    assert one.get(path).content.decode().strip() == ""
    assert "Alice" in two.get(path).content.decode()
    shown = one.get(path).content.decode()
    assert "Bob" in shown
    assert "Alice" not in shown
    native = f"/api/v1/assistants/{talk.channel.assistant_id}/conversations/{talk.pk}"
    assert api(token).get(native).json()["present"] == ["bob@acme.test"]
    assert client_of(vera).get(path).status_code == 404
    cache.delete(readers._key(talk, bob.pk))  # As after SEEN_SECONDS.
    assert "Bob" not in one.get(path).content.decode()
    assert f'hx-get="{path}"' in one.get(f"/conversations/{talk.pk}/").content.decode()


def test_presence_is_forgotten_soon(talk, alice, bob, monkeypatch):
    kept = {}
    monkeypatch.setattr(
        readers.cache, "set", lambda key, value, seconds: kept.update({key: seconds})
    )
    readers.tell_present(talk, bob)
    assert kept == {readers._key(talk, bob.pk): readers.SEEN_SECONDS}


def test_a_conversation_is_closed_with_notes_and_can_still_be_noted(talk, alice, client_of):
    state.close(talk, Conversation.Outcome.RESOLVED)
    client = client_of(alice)
    assert client.post(f"/conversations/{talk.pk}/note/", {"text": NOTE}).status_code == 302
    assert NOTE in client.get(f"/conversations/{talk.pk}/").content.decode()
