"""How a question and its reply are stored: under the conversation's lock, in few statements."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from assistants.consultations.one_statement import Writes
from assistants.errors import InvalidConsultation
from assistants.models import (
    Channel,
    Conversation,
    ConversationState,
    Decision,
    Message,
    Version,
    Visitor,
)

MESSAGES = Message._meta.db_table
# What is taken where the same message was stored already, or another conversation opened.
SAME_MESSAGE = "ON CONFLICT (channel_id, external_id) WHERE NOT (external_id = '') DO NOTHING"
OPEN_CONVERSATION = "ON CONFLICT (visitor_id) WHERE NOT (state = 'closed') DO NOTHING"


@dataclass(frozen=True)
class Arrival:
    """A visitor's message, and where it belongs: to a conversation of ours, or to the visitor's
    open one, or to a new one."""

    channel: Channel
    version: Version
    text: str
    language: str
    visitor_hash: str = ""
    conversation_id: UUID | None = None
    external_id: str = ""
    contact: str = ""  # Encrypted.
    original: str = ""  # What was written before it was masked, encrypted.
    locale: str = ""
    is_verified: bool = False  # The visitor.

    def as_message(self) -> Message:
        return Message(
            channel=self.channel,
            author=Message.Author.VISITOR,
            text=self.text,
            external_id=self.external_id,
            original=self.original,
        )


class _StoredBefore(Exception):
    """The same message came twice at once."""


def find_stored(channel: Channel, external_id: str) -> Message | None:
    """The same message, sent before under its external id."""
    if not external_id:
        return None
    rows = Message.objects.filter(channel=channel, external_id=external_id)
    message = rows.select_related("conversation").first()
    if message is not None:
        message.conversation.channel = channel
    return message


def receive(arrival: Arrival, visitor: Visitor | None) -> tuple[Conversation, Message, bool]:
    """Store the message; False where it was stored before, under its external id. `visitor`: if
    known. Raises InvalidConsultation for a conversation of somebody else, and for an external id
    of another message."""
    # Nobody can have written any of it before.
    if not (arrival.visitor_hash or arrival.conversation_id or arrival.external_id):
        return *_open(arrival, None), True  # One statement, which needs no transaction around it.
    stored = find_stored(arrival.channel, arrival.external_id)
    if stored is None:
        try:
            with transaction.atomic():
                return *_receive(arrival, visitor), True
        except _StoredBefore:
            stored = find_stored(arrival.channel, arrival.external_id)
            assert stored is not None
    if stored.text != arrival.text:  # Its reply answers something else.
        raise InvalidConsultation(
            "This message id was sent before with another text. Give each message an id of its"
            " own, and send one again only as it was.",
            param="message_id",
        )
    return stored.conversation, stored, False


def _receive(arrival: Arrival, visitor: Visitor | None) -> tuple[Conversation, Message]:
    if arrival.visitor_hash:
        visitor = _know(arrival, visitor)
    locked = None
    if arrival.conversation_id is not None:
        locked = _lock_named(arrival, visitor)
        if locked.state == ConversationState.CLOSED:
            visitor, locked = locked.visitor, None
    if locked is None and visitor is not None:
        locked = _lock_open(visitor)
    while locked is None:
        opened, message = _open(arrival, visitor)
        if message.pk is not None:
            return opened, message
        assert visitor is not None
        locked = _lock_open(visitor)  # Another message of the same visitor opened it just now.
    locked.channel = arrival.channel
    return locked, _append(arrival, locked)


def _know(arrival: Arrival, visitor: Visitor | None) -> Visitor:
    """Who writes, with what is known of them now."""
    known: dict[str, object] = {"locale": arrival.locale} if arrival.locale else {}
    if arrival.is_verified:
        known["verified"] = True
    if visitor is None:
        visitor, _ = Visitor.objects.get_or_create(
            channel=arrival.channel, external_hash=arrival.visitor_hash, defaults=known
        )
    news = {name: value for name, value in known.items() if getattr(visitor, name) != value}
    if news:
        Visitor.objects.filter(pk=visitor.pk).update(**news)
    return visitor


def _lock_named(arrival: Arrival, visitor: Visitor | None) -> Conversation:
    rows = Conversation.objects.select_for_update()
    assert arrival.conversation_id is not None
    conversation = rows.filter(pk=arrival.conversation_id, channel=arrival.channel).first()
    if conversation is None or (visitor is not None and conversation.visitor_id != visitor.pk):
        raise InvalidConsultation(
            "There is no such conversation of this channel.", param="conversation"
        )
    return conversation


def _lock_open(visitor: Visitor) -> Conversation | None:
    rows = Conversation.objects.select_for_update().filter(visitor=visitor)
    return rows.exclude(state=ConversationState.CLOSED).first()


def _open(arrival: Arrival, visitor: Visitor | None) -> tuple[Conversation, Message]:
    """A conversation that begins with the message; where the visitor has an open one, nothing is
    written and the message has no key. Raises _StoredBefore."""
    conversation = Conversation(
        channel=arrival.channel,
        visitor=visitor,
        version=arrival.version,
        language=arrival.language,
        contact=arrival.contact,
    )
    message = arrival.as_message()
    message.conversation, message.seq = conversation, 1
    message.at = conversation.last_message_at
    writes = Writes()
    writes.insert("opened", conversation, once=OPEN_CONVERSATION)
    writes.insert("said", message, after="opened", once=SAME_MESSAGE)
    row = writes.run(
        "SELECT opened.id, said.id FROM opened LEFT JOIN said ON true",
        notified=conversation.live_channels,
    )
    if row is not None and row[1] is None:
        raise _StoredBefore
    message.pk = row[1] if row else None
    _mark_stored(conversation, message)
    return conversation, message


def _append(arrival: Arrival, locked: Conversation) -> Message:
    message = arrival.as_message()
    is_news = bool(arrival.contact) and not locked.contact
    writes = Writes()
    _add_message(writes, locked, message, {"contact": arrival.contact} if is_news else {})
    row = writes.run("SELECT said.id, said.seq FROM said", notified=locked.live_channels)
    if row is None:
        raise _StoredBefore
    message.pk, message.seq = row[:2]
    _mark_stored(message)
    return message


def keep_reply(
    locked: Conversation, message: Message, decision: Decision, changes: dict[str, object]
) -> None:
    """Store what the assistant says, if that is not stored yet, and why; and change columns of the
    conversation, whose row is locked."""
    writes = Writes()
    if message.pk is None:
        _add_message(writes, locked, message, changes)
        writes.insert("decided", decision, after="said", reply_id="said.id")
    else:
        decision.reply = message
        writes.update("changed", locked, changes)
        writes.insert("decided", decision)
    source = (
        "SELECT said.id, said.seq FROM said"
        if message.pk is None
        else "SELECT reply_id, 0 FROM decided"
    )
    row = writes.run(source, notified=locked.live_channels)
    assert row is not None  # Nobody else appends while the row is locked.
    if message.pk is None:
        message.pk, message.seq = row[:2]
        decision.reply = message
    _mark_stored(message, decision)


def _add_message(
    writes: Writes, locked: Conversation, message: Message, changes: dict[str, object]
) -> None:
    message.conversation, message.at = locked, now()
    next_seq = (
        f"(SELECT coalesce(max(seq), 0) + 1 FROM {MESSAGES}"
        f" WHERE conversation_id = '{locked.pk}'::uuid)"
    )
    message.seq = 0  # Counted there, without gaps.
    writes.insert("said", message, once=SAME_MESSAGE, seq=next_seq)
    writes.update("changed", locked, {"last_message_at": message.at, **changes}, after="said")


def _mark_stored(*rows: Conversation | Message | Decision) -> None:
    for row in rows:
        row._state.adding, row._state.db = False, "default"
