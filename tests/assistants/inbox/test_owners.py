"""A person who took a conversation and may, or does, answer no more; and those who step in."""

import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils.timezone import now

from accounts.models import AuditEntry, Membership, Role
from accounts.people.deletion import delete_account
from accounts.teams import membership as memberships
from assistants.conversations import readers, state, watchdog
from assistants.errors import ConversationMovedOn, InvalidConsultation
from assistants.models import Conversation, Message, Move, Visitor
from assistants.people import owners

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(team, bob) -> Membership:
    row, _ = Membership.objects.update_or_create(
        team=team, user=bob, defaults={"role": Role.MEMBER}
    )
    return row


@pytest.fixture
def talk(assistant, member) -> Conversation:
    """A visitor asked, it was handed over, and Bob took it."""
    channel = assistant.channels.get()
    visitor = Visitor.objects.create(channel=channel, external_hash="a" * 64)
    talk = Conversation.objects.create(channel=channel, visitor=visitor)
    state.append_message(talk, Message.Author.VISITOR, "hello?")
    state.hand_over(talk, "rule")
    state.take(talk, member.user)
    return talk


def grow_old(talk: Conversation, age: timedelta) -> None:
    talk.messages.update(at=now() - age)
    talk.moves.update(at=now() - age)


def is_released(talk: Conversation, reason: str) -> bool:
    talk.refresh_from_db()
    last = talk.messages.order_by("seq").last()
    if talk.state != "waiting":
        return False
    assert (last.author, last.text[:5]) == ("system", "Sorry")
    move = Move.objects.filter(conversation=talk).last()
    assert (talk.assignee, move.to, move.reason) == (None, "waiting", reason)
    assert talk.handed_over_reason == "rule"
    return True


def demote(member, alice):
    memberships.change_role(member, alice, Role.VIEWER)


def remove(member, alice):
    memberships.remove(member, alice)


def delete(member, _):
    delete_account(member.user)


def deactivate(member, _):
    member.user.is_active = False
    member.user.save()


@pytest.mark.parametrize("end", [demote, remove, delete, deactivate])
def test_a_conversation_is_released_with_the_rights_of_who_took_it(talk, member, alice, end):
    end(member, alice)
    assert is_released(talk, "owner_gone")
    state.take(talk, alice)


def test_another_role_that_may_answer_releases_nothing(talk, member, alice):
    memberships.change_role(member, alice, Role.AGENT)
    assert not is_released(talk, "owner_gone")


def test_who_took_it_while_their_rights_ended_loses_it_to_the_watchdog(talk, member):
    Membership.objects.filter(pk=member.pk).update(role=Role.VIEWER)  # No signal.
    watchdog.watch()
    assert is_released(talk, "owner_gone")


def test_who_does_not_reply_in_time_loses_it(talk, bob):
    cache.delete(readers._key(talk, bob.pk))
    grow_old(talk, timedelta(minutes=29))
    watchdog.watch()
    assert not is_released(talk, "no_reply")
    grow_old(talk, timedelta(minutes=31))
    watchdog.watch()
    assert is_released(talk, "no_reply")
    assert owners.release_unreplied() == 0


def test_who_has_the_page_open_may_be_writing(talk, bob):
    readers.tell_present(talk, bob)
    grow_old(talk, timedelta(hours=3))
    assert owners.release_unreplied() == 0
    grow_old(talk, timedelta(hours=5))
    assert owners.release_unreplied() == 1
    cache.delete(readers._key(talk, bob.pk))


def test_who_replied_or_took_it_just_now_keeps_it(talk, bob):
    cache.delete(readers._key(talk, bob.pk))
    state.reply(talk, bob, "Here I am.")
    grow_old(talk, timedelta(days=2))
    assert owners.release_unreplied() == 0
    state.append_message(state.lock(talk), Message.Author.VISITOR, "And now?")
    grow_old(talk, timedelta(hours=1))
    talk.moves.filter(to="human").update(at=now())
    assert owners.release_unreplied() == 0
    grow_old(talk, timedelta(hours=1))
    assert owners.release_unreplied() == 1


def test_anybody_of_the_inbox_takes_over_and_the_log_says_so(talk, alice, bob, client_of):
    path = f"/conversations/{talk.pk}/assign/"
    page = client_of(alice)
    assert "Take it over" in page.get(f"/conversations/{talk.pk}/").content.decode()
    taken = page.post(path, {"from": bob.pk, "to": alice.email})
    assert taken.status_code == 302
    talk.refresh_from_db()
    assert talk.assignee == alice
    with pytest.raises(ConversationMovedOn):
        state.reply(talk, bob, "Too late.")
    entry = AuditEntry.objects.get(action="assistant.conversation-reassigned")
    assert (entry.actor, entry.detail["old"], entry.detail["new"]) == (
        alice.email, bob.email, alice.email,
    )  # fmt: skip
    # A page from before asks for a state that is over.
    assert page.post(path, {"from": bob.pk, "to": alice.email}).status_code == 409
    assert (
        "Taken over from somebody else" in page.get(f"/conversations/{talk.pk}/").content.decode()
    )


def test_only_who_may_use_the_inbox_is_given_one(talk, alice, vera, bob):
    for email in (vera.email, "nobody@else.test", ""):
        with pytest.raises(InvalidConsultation):
            owners.hand_to(talk, alice, email)
    with pytest.raises(ConversationMovedOn):  # Bob has it already.
        owners.hand_to(talk, alice, bob.email)
    state.release(talk, "no_reply")
    with pytest.raises(ConversationMovedOn):
        owners.hand_to(talk, alice, alice.email)


def test_over_the_api(talk, alice, bob, api, token):
    path = f"/api/v1/assistants/{talk.channel.assistant_id}/conversations/{talk.pk}"
    assert api(token).patch(path, {"to": "human"}).status_code == 409
    other = {"to": "human", "instead_of": alice.email}
    assert api(token).patch(path, other).status_code == 409
    wrong = {"to": "closed", "instead_of": bob.email}
    assert api(token).patch(path, wrong).status_code == 409
    assert api(token).patch(path, {"to": "human", "instead_of": bob.email}).status_code == 200
    given = {"to": "human", "instead_of": alice.email, "assignee": bob.email}
    assert api(token).patch(path, given).status_code == 200
    talk.refresh_from_db()
    assert talk.assignee == bob


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_many_who_step_in_at_once_one_does(talk, team, alice, bob):
    results, start = [], threading.Barrier(6)

    def work(act) -> None:
        seen = Conversation.objects.select_related("channel__assistant__team", "assignee").get()
        start.wait()
        try:
            act(seen)
            results.append(act)
        except ConversationMovedOn:
            pass
        connection.close()

    acts = [lambda seen: state.reassign(seen, alice, alice)] * 3
    acts += [lambda seen: state.release(seen, "no_reply")] * 3
    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert Move.objects.filter(conversation=talk).count() == 3
