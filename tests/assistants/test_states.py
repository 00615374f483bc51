"""Each constraint of the tables, each change of state, and the races between people."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now

from assistants.conversations import state, watchdog
from assistants.conversations.consulting import Question, consult
from assistants.errors import ConversationMovedOn, StaleVersionState
from assistants.lifecycle import create_assistant
from assistants.models import (
    NEXT_STATES,
    Answer,
    Channel,
    Conversation,
    ConversationState,
    Decision,
    Judgement,
    Message,
    Note,
    Phrasing,
    TestCase,
    Version,
    Visitor,
)
from assistants.models.version import NEXT, VersionStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel(assistant) -> Channel:
    return assistant.channels.get()


@pytest.fixture
def talk(channel) -> Conversation:
    visitor = Visitor.objects.create(channel=channel, external_hash="a" * 64)
    return Conversation.objects.create(channel=channel, visitor=visitor)


def version_of(assistant, number=1, status="building", **fields) -> Version:
    return Version.objects.create(
        assistant=assistant, number=number, status=status, encoder="e", promise=0.9,
        out_of_scope_share=0.1, **fields,
    )  # fmt: skip


def broken_rows(assistant, channel, talk, alice):
    """Name of a constraint, and how to break it."""
    answer = Answer.objects.create(assistant=assistant, key="k", text="t")
    message = state.append_message(talk, Message.Author.VISITOR, "hi", external_id="x")
    moment = now()
    live = {"status": "live", "measured_at": moment, "live_at": moment}
    return [
        ("assistants_name_once_per_team",
         lambda: assistant.__class__.objects.create(
             team=assistant.team, project=assistant.project, name=assistant.name)),
        ("assistants_promise_in_range", lambda: _update(assistant, promise=0.5)),
        ("assistants_share_in_range", lambda: _update(assistant, out_of_scope_share=0)),
        ("assistants_retired_iff_time", lambda: _update(assistant, state="retired")),
        ("assistants_answer_key_once",
         lambda: Answer.objects.create(assistant=assistant, key="k", text="t")),
        ("assistants_answer_has_text", lambda: _update(answer, text="")),
        ("assistants_answer_approved_by_somebody", lambda: _update(answer, approved_by=alice)),
        ("assistants_answer_approved_iff_time", lambda: _update(answer, state="approved")),
        ("assistants_answer_draft_unapproved",
         lambda: _update(answer, approved_by=alice, approved_at=moment)),
        ("assistants_answer_valid_in_order",
         lambda: _update(answer, valid_from=moment, valid_until=moment - timedelta(1))),
        ("assistants_phrasing_once_per_answer",
         lambda: [Phrasing.objects.create(answer=answer, text="a", text_hash="h") for _ in "12"]),
        ("assistants_embedding_iff_encoder",
         lambda: Phrasing.objects.create(answer=answer, text="a", text_hash="h", encoder="e")),
        ("assistants_phrasing_only_suggested_waits",
         lambda: Phrasing.objects.create(
             answer=answer, text="a", text_hash="h", accepted_at=None)),
        ("assistants_version_number_once",
         lambda: [version_of(assistant, 1, **live), version_of(assistant, 1)]),
        ("assistants_one_live_version", lambda: [version_of(assistant, n, **live) for n in (1, 2)]),
        ("assistants_one_building_version", lambda: [version_of(assistant, n) for n in (1, 2)]),
        ("assistants_version_measured_iff_time", lambda: version_of(assistant, status="measured")),
        ("assistants_version_failed_iff_sentence", lambda: version_of(assistant, status="failed")),
        ("assistants_version_live_has_time",
         lambda: version_of(assistant, status="live", measured_at=moment)),
        ("assistants_channel_known_kind", lambda: _update(channel, kind="fax")),
        ("assistants_visitor_once_per_channel",
         lambda: Visitor.objects.create(channel=channel, external_hash="a" * 64)),
        ("assistants_conversation_handed_over", lambda: _update(talk, state="waiting")),
        ("assistants_conversation_human_iff_assignee",
         lambda: _update(talk, state="human", handed_over_at=moment)),
        ("assistants_conversation_human_iff_assignee", lambda: _update(talk, assignee=alice)),
        ("assistants_conversation_closed_iff_time", lambda: _update(talk, state="closed")),
        ("assistants_conversation_csat_range", lambda: _update(talk, csat=6)),
        ("assistants_one_open_conversation",
         lambda: Conversation.objects.create(channel=channel, visitor=talk.visitor)),
        ("assistants_message_seq_once",
         lambda: Message.objects.create(
             conversation=talk, channel=channel, seq=1, author="bot", text="x")),
        ("assistants_message_external_once",
         lambda: state.append_message(talk, Message.Author.VISITOR, "hi", external_id="x")),
        ("assistants_message_person_iff_person",
         lambda: state.append_message(talk, Message.Author.PERSON, "hi")),
        ("assistants_note_has_text",
         lambda: Note.objects.create(conversation=talk, person=alice, text="")),
        ("assistants_decision_answer_has_key",
         lambda: Decision.objects.create(message=message, route="answer")),
        ("assistants_decision_confidence_range",
         lambda: Decision.objects.create(message=message, route="refuse", confidence=2)),
        ("assistants_judgement_by_one",
         lambda: Judgement.objects.create(
             decision=Decision.objects.create(message=message, route="refuse"), verdict="right")),
        ("assistants_case_value_iff_named",
         lambda: TestCase.objects.create(assistant=assistant, question="q", expects="answer")),
    ]  # fmt: skip


def _update(row, **fields):
    return type(row).objects.filter(pk=row.pk).update(**fields)


def test_the_database_refuses_every_impossible_row(assistant, channel, talk, alice):
    for name, break_it in broken_rows(assistant, channel, talk, alice):
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            break_it()


def _in_state(talk, wanted, alice):
    moment = now()
    facts = {
        "bot": {"assignee": None},
        "waiting": {"handed_over_at": moment, "assignee": None},
        "human": {"handed_over_at": moment, "assignee": alice},
        "closed": {"closed_at": moment, "outcome": "resolved"},
    }[wanted]
    fresh = {"closed_at": None, "outcome": "", "handed_over_at": None, "assignee": None}
    _update(talk, state=wanted, **{**fresh, **facts})
    talk.refresh_from_db()


@pytest.mark.parametrize("before", ConversationState.values)
@pytest.mark.parametrize("after", ConversationState.values)
def test_conversations_move_only_as_allowed(talk, alice, before, after):
    _in_state(talk, before, alice)
    moves = {
        "waiting": lambda: (
            state.release(talk, "no_reply") or True
            if before == "human"
            else state.hand_over(talk, "rule")
        ),
        "human": lambda: state.take(talk, alice),
        "bot": lambda: state.return_to_bot(talk, alice),
        "closed": lambda: state.close(talk, Conversation.Outcome.RESOLVED),
    }
    try:
        moved = moves[after]() is not None or after != "waiting"
    except ConversationMovedOn:
        moved = False
    talk.refresh_from_db()
    allowed = after in NEXT_STATES.get(ConversationState(before), set())
    assert moved == allowed
    assert talk.state == (after if allowed else before)


@pytest.mark.parametrize("before", VersionStatus.values)
@pytest.mark.parametrize("after", VersionStatus.values)
def test_versions_move_only_as_allowed(assistant, before, after):
    moment = now()
    facts = {
        "building": {}, "failed": {"failure_sentence": "x"}, "measured": {"measured_at": moment},
        "live": {"measured_at": moment, "live_at": moment},
        "retired": {"measured_at": moment, "live_at": moment},
    }  # fmt: skip
    version = version_of(assistant, status=before, **facts[before])
    if after in NEXT.get(VersionStatus(before), set()):
        version.transition(VersionStatus(after), **facts[after])
        assert version.status == after
    else:
        with pytest.raises(StaleVersionState):
            version.transition(VersionStatus(after), **facts[after])


def test_a_stale_version_object_changes_nothing(assistant):
    version = version_of(assistant)
    other = Version.objects.get(pk=version.pk)
    other.transition(VersionStatus.MEASURED, measured_at=now())
    with pytest.raises(StaleVersionState):
        version.transition(VersionStatus.FAILED, failure_sentence="x")


def test_only_its_owner_replies_and_returns_a_conversation(talk, alice, bob):
    state.hand_over(talk, "rule")
    state.take(talk, alice)
    for forbidden in (state.take, lambda t, p: state.reply(t, p, "x"), state.return_to_bot):
        with pytest.raises(ConversationMovedOn):
            forbidden(talk, bob)
    assert state.reply(talk, alice, "Here I am.").author == "person"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_people_take_ten_conversations_and_nobody_shares_one(assistant, alice, bob):
    channel = assistant.channels.get()
    for n in range(10):
        visitor = Visitor.objects.create(channel=channel, external_hash=f"{n:064}")
        talk = Conversation.objects.create(channel=channel, visitor=visitor)
        state.hand_over(talk, "rule")
    taken, lock = [], threading.Lock()

    def work(person):
        while (mine := state.take_oldest([assistant.team_id], person)) is not None:
            with lock:
                taken.append(mine.pk)
        connection.close()

    threads = [threading.Thread(target=work, args=(p,)) for p in (alice, bob, alice, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 10
    assert Conversation.objects.filter(state="human").count() == 10


def test_a_message_that_a_crash_left_unanswered_waits_for_a_person(talk):
    state.append_message(talk, Message.Author.VISITOR, "hello?")
    old = now() - timedelta(seconds=30)
    _update(talk, last_message_at=old)
    talk.messages.update(at=old)
    assert watchdog.hand_over_unanswered() == 1
    talk.refresh_from_db()
    assert (talk.state, talk.handed_over_reason) == ("waiting", "not_answered")


def test_an_answered_conversation_is_left_and_closed_after_a_day(talk):
    state.append_message(talk, Message.Author.VISITOR, "hello?")
    state.append_message(talk, Message.Author.BOT, "hello!")
    old = now() - timedelta(hours=25)
    _update(talk, last_message_at=old)
    talk.messages.update(at=old)
    assert watchdog.hand_over_unanswered() == 0
    assert watchdog.close_quiet() == 1
    talk.refresh_from_db()
    assert (talk.state, talk.outcome) == ("closed", "unconfirmed")


def test_expired_conversations_are_deleted_with_what_was_said(talk, assistant):
    state.append_message(talk, Message.Author.VISITOR, "hello?")
    state.close(talk, Conversation.Outcome.RESOLVED)
    assert watchdog.delete_expired() == 0
    _update(talk, closed_at=now() - timedelta(days=assistant.retention_days + 1))
    watchdog.delete_expired()
    assert not Message.objects.exists()


def test_the_assistant_is_silent_when_a_person_took_over_while_it_was_thinking(live, monkeypatch):
    from assistants.answering.deciding import decide
    from assistants.conversations import consulting

    channel = live.assistant.channels.get()

    def slow(version, situation, **more):
        state.hand_over(Conversation.objects.get(), "rule")
        return decide(version, situation, **more)

    monkeypatch.setattr(consulting, "decide", slow)
    reply = consult(channel, Question("how do i return an order", visitor="v"))
    assert (reply.response, reply.route) == ("", "person")
    assert not Message.objects.filter(author="bot").exists()


def test_who_writes_after_a_close_opens_a_new_conversation(live):
    channel = live.assistant.channels.get()
    first = consult(channel, Question("how do i return an order", visitor="v")).conversation
    state.close(first, Conversation.Outcome.RESOLVED)
    second = consult(channel, Question("how do i track my parcel", visitor="v")).conversation
    assert second.pk != first.pk


def test_a_retired_name_is_free_again(assistant, project, alice):
    from assistants.lifecycle import retire_assistant

    retire_assistant(assistant, alice)
    assert create_assistant(project, assistant.name, alice).pk != assistant.pk


def test_each_change_of_a_conversation_is_noted_with_who_made_it(live, alice, api, token):
    channel = live.assistant.channels.get(kind="api")
    talk = Conversation.objects.create(channel=channel)
    state.hand_over(talk, "rule")
    state.take(talk, alice)
    state.return_to_bot(talk, alice)
    state.hand_over(talk, "csat_1")
    state.take(talk, alice)
    with pytest.raises(ConversationMovedOn):
        state.take(talk, alice)
    state.close(talk, Conversation.Outcome.RESOLVED, alice)
    expected = [
        ("waiting", None, "rule"),
        ("human", alice.email, None),
        ("bot", alice.email, None),
        ("waiting", None, "csat_1"),
        ("human", alice.email, None),
        ("closed", alice.email, "resolved"),
    ]
    shown = api(token).get(f"/api/v1/assistants/{live.assistant_id}/conversations/{talk.pk}").json()
    assert [(one["to"], one["by"], one["reason"]) for one in shown["history"]] == expected
