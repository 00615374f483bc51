"""Visitors who may not write for a while, or for good."""

from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, User
from assistants.conversations import state
from assistants.errors import InvalidConsultation
from assistants.models import Channel, Conversation, Visitor

FOR_GOOD = datetime(9000, 1, 1, tzinfo=UTC)  # Far off, and still a date in every time zone.
PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "always": None}


def find_visitor(channel: Channel, visitor_hash: str) -> Visitor | None:
    """Who wrote before. Raises InvalidConsultation for who is blocked, before anything is heard,
    stored or billed."""
    if not visitor_hash:
        return None
    visitor = Visitor.objects.filter(channel=channel, external_hash=visitor_hash).first()
    if visitor is not None and visitor.is_blocked:
        raise InvalidConsultation("You cannot write here at the moment.")
    return visitor


@transaction.atomic
def block(conversation: Conversation, period: str, by: User | ApiToken) -> datetime:
    """Until when the visitor's messages are refused. Raises InvalidConsultation."""
    if period not in PERIODS:
        raise InvalidConsultation("Block for a day, a week or always.", param="period")
    length = PERIODS[period]
    until = FOR_GOOD if length is None else now() + length
    _set(conversation, until)
    assistant = conversation.channel.assistant
    audit.record(
        assistant.team, by, "assistant.visitor-blocked", assistant.name,
        conversation=str(conversation.pk), period=period,
    )  # fmt: skip
    return until


@transaction.atomic
def unblock(conversation: Conversation, by: User | ApiToken) -> None:
    """Let the visitor write again. Raises InvalidConsultation."""
    _set(conversation, None)
    assistant = conversation.channel.assistant
    audit.record(
        assistant.team, by, "assistant.visitor-unblocked", assistant.name,
        conversation=str(conversation.pk),
    )  # fmt: skip


def _set(conversation: Conversation, until: datetime | None) -> None:
    if conversation.visitor_id is None:
        raise InvalidConsultation("Nobody knows who writes in this conversation.")
    Visitor.objects.filter(pk=conversation.visitor_id).update(blocked_until=until)
    state.announce(conversation)
