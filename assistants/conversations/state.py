"""The life of a conversation. Each change is one guarded UPDATE, so of several actors one wins."""

import json
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from accounts.notifications.publish import publish, publish_to_programs
from accounts.webhooks import secret_encryption
from assistants.errors import ConversationDeleted, ConversationMovedOn
from assistants.models import Conversation, ConversationState, Delivery, Message, Move
from assistants.people.waiting import waiting_words
from web.database.rows import Columns, fetch
from web.enqueue import enqueue_on_commit
from web.sse import notify

State = ConversationState
CONVERSATION = Columns(Conversation, "conversation")
LOCK_SQL = (
    f"SELECT {CONVERSATION.sql} FROM {Conversation._meta.db_table} conversation"
    " WHERE id = %s FOR UPDATE"
)


def append_message(
    conversation: Conversation,
    author: Message.Author,
    text: str,
    *,
    person: User | None = None,
    external_id: str = "",
    original: str = "",
) -> Message:
    """The next message. Call it with the conversation's row locked: `seq` counts without gaps."""
    last = conversation.messages.order_by("-seq").values_list("seq", flat=True).first() or 0
    moment = now()
    message = Message.objects.create(
        conversation=conversation,
        channel=conversation.channel,  # With it, not its key alone: rules look at it.
        seq=last + 1,
        author=author,
        person=person,
        text=text,
        external_id=external_id,
        original=original,
        at=moment,
    )
    Conversation.objects.filter(pk=conversation.pk).update(last_message_at=moment)
    return message


def lock(conversation: Conversation) -> Conversation:
    """The row as it is now, locked until the transaction ends; with the channel that is known.
    Raises ConversationDeleted: its visitor may be erased while a question is being answered."""
    if not Conversation.channel.is_cached(conversation):
        rows = Conversation.objects.select_for_update(of=("self",))
        opened = rows.select_related("channel__assistant__team").filter(pk=conversation.pk).first()
        if opened is None:
            raise ConversationDeleted
        return opened
    locked_rows = list(fetch(LOCK_SQL, [conversation.pk]))
    if not locked_rows:
        raise ConversationDeleted
    locked = CONVERSATION.read([*locked_rows[0]])
    locked.channel = conversation.channel
    return locked


@transaction.atomic
def hand_over(
    conversation: Conversation, reason: str, *, language: str = "", group: str = ""
) -> Message | None:
    """Let a person answer, and tell the visitor how long that may take, in the conversation's
    language unless another is named. None when a person has it already or it is closed."""
    sentence = waiting_words(conversation, language or conversation.language)
    if not wait_for_person(conversation, reason, group=group):
        return None
    message = append_message(lock(conversation), Message.Author.SYSTEM, sentence)
    conversation.refresh_from_db()
    return message


@transaction.atomic
def wait_for_person(conversation: Conversation, reason: str, *, group: str = "") -> bool:
    """Let a person answer, and tell the visitor nothing. False where one has it or it is closed."""
    changed = Conversation.objects.filter(pk=conversation.pk, state=State.BOT).update(
        state=State.WAITING,
        handed_over_at=now(),
        handed_over_reason=reason,
        handed_over_group=group,
    )
    if not changed:
        return False
    Move.objects.create(conversation=conversation, to=State.WAITING, reason=reason)
    _tell_people(lock(conversation), reason, group)
    return True


@transaction.atomic
def release(conversation: Conversation, reason: str) -> None:
    """Let it wait for another person than the one who has it, and tell the visitor. Its place in
    the line is that of its hand-over. Raises ConversationMovedOn where somebody else has it now."""
    owned = Conversation.objects.filter(
        pk=conversation.pk, state=State.HUMAN, assignee=conversation.assignee_id
    )
    sentence = waiting_words(conversation, conversation.language, again=True)
    if not owned.update(state=State.WAITING, assignee=None):
        raise ConversationMovedOn
    Move.objects.create(conversation=conversation, to=State.WAITING, reason=reason)
    locked = lock(conversation)
    append_message(locked, Message.Author.SYSTEM, sentence)
    _tell_people(locked, reason, locked.handed_over_group)
    conversation.refresh_from_db()


def _tell_people(locked: Conversation, reason: str, group: str) -> None:
    name = locked.channel.assistant.name
    if group:
        sentence = f"A visitor of {name} waits for a person of the group {group}."
    else:
        sentence = f"A visitor of {name} waits for a person."
    publish(
        locked.channel.assistant.team,
        "conversation.handed_over",
        sentence,
        url=f"/conversations/{locked.pk}/",
        data={"conversation": str(locked.pk), "reason": reason, "group": group},
    )
    announce(locked)


@transaction.atomic
def take(conversation: Conversation, person: User) -> None:
    """Become the one who answers. Raises ConversationMovedOn when somebody else did."""
    waiting = Conversation.objects.filter(pk=conversation.pk, state=State.WAITING)
    if not waiting.update(state=State.HUMAN, assignee=person):
        raise ConversationMovedOn
    Move.objects.create(conversation=conversation, to=State.HUMAN, person=person)
    announce(conversation)
    conversation.refresh_from_db()


@transaction.atomic
def reassign(conversation: Conversation, by: User, to: User) -> None:
    """Let `to` answer in the place of who has it, as `conversation` was read: of several people at
    once, one wins. Raises ConversationMovedOn."""
    before = conversation.assignee
    owned = Conversation.objects.filter(
        pk=conversation.pk, state=State.HUMAN, assignee=before
    ).exclude(assignee=to)
    if before is None or not owned.update(assignee=to):
        raise ConversationMovedOn
    reason = "taken_over" if by == to else "assigned"
    Move.objects.create(conversation=conversation, to=State.HUMAN, person=to, reason=reason)
    assistant = conversation.channel.assistant
    audit.record(
        assistant.team, by, "assistant.conversation-reassigned", assistant.name,
        conversation=str(conversation.pk), old=before.email, new=to.email,
    )  # fmt: skip
    announce(conversation)
    conversation.refresh_from_db()


@transaction.atomic
def take_oldest(team_ids: list[UUID], person: User, *, group: str = "") -> Conversation | None:
    """Take the conversation that waits longest, of a group where one is named; two people at once
    get two different ones."""
    waiting = Conversation.objects.filter(
        state=State.WAITING, channel__assistant__team__in=team_ids
    ).order_by("handed_over_at")
    if group:
        waiting = waiting.filter(handed_over_group=group)
    oldest = waiting.select_for_update(skip_locked=True, of=("self",)).first()
    if oldest is not None:
        take(oldest, person)
    return oldest


@transaction.atomic
def reply(conversation: Conversation, person: User, text: str) -> Message:
    """Say something as a person, and send it to a visitor whom no page of ours shows it. Only the
    conversation's owner may. Raises ConversationMovedOn."""
    locked = lock(conversation)
    if locked.state != State.HUMAN or locked.assignee_id != person.pk:
        raise ConversationMovedOn
    message = append_message(locked, Message.Author.PERSON, text, person=person)
    if locked.contact:
        Delivery.objects.create(message=message)
        enqueue_on_commit("assistants.tasks.deliver_replies")
    announce(locked)
    return message


def leave_address(conversation: Conversation, address: str) -> None:
    """Where a visitor wants the reply who does not wait for it."""
    first = conversation.messages.filter(author=Message.Author.VISITOR).order_by("seq").first()
    subject = " ".join(first.text.split())[:80] if first else ""
    contact = secret_encryption.encrypt(json.dumps({"to": address, "subject": subject}))
    Conversation.objects.filter(pk=conversation.pk).update(contact=contact)


@transaction.atomic
def return_to_bot(conversation: Conversation, person: User) -> None:
    """Let the assistant answer again. Only its owner may. Raises ConversationMovedOn."""
    owned = Conversation.objects.filter(pk=conversation.pk, state=State.HUMAN, assignee=person)
    if not owned.update(
        state=State.BOT, assignee=None, refusals_running=0, asked_back=False, awaiting=None
    ):
        raise ConversationMovedOn
    Move.objects.create(conversation=conversation, to=State.BOT, person=person)
    announce(conversation)
    conversation.refresh_from_db()


@transaction.atomic
def close(
    conversation: Conversation, outcome: Conversation.Outcome, person: User | None = None
) -> None:
    """End it, as this person or by itself; who writes again opens a new one. Raises
    ConversationMovedOn when it is closed."""
    is_open = Conversation.objects.filter(pk=conversation.pk).exclude(state=State.CLOSED)
    if not is_open.update(state=State.CLOSED, closed_at=now(), outcome=outcome):
        raise ConversationMovedOn
    Move.objects.create(conversation=conversation, to=State.CLOSED, person=person, reason=outcome)
    assistant = conversation.channel.assistant
    publish_to_programs(
        assistant.team,
        "conversation.closed",
        f"A conversation of {assistant.name} is closed.",
        url=f"/conversations/{conversation.pk}/",
        data={"conversation": str(conversation.pk), "outcome": str(outcome)},
    )
    announce(conversation)
    conversation.refresh_from_db()


@transaction.atomic
def rate(conversation: Conversation, csat: int) -> None:
    """What the visitor thinks of it, from 1 to 5, once. The worst brings a person, while the
    assistant still answers. Raises ConversationMovedOn."""
    if not Conversation.objects.filter(pk=conversation.pk, csat=None).update(csat=csat):
        raise ConversationMovedOn("This conversation was rated.")
    if csat == 1:
        hand_over(conversation, "csat_1")


def announce(conversation: Conversation) -> None:
    """Refresh the inbox and the visitor's widget."""
    notify(*conversation.live_channels)
