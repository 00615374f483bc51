"""What is kept of one visitor: shown, and erased."""

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from assistants.consultations.originals import read_original
from assistants.conversations.consulting import hash_visitor
from assistants.conversations.situations import read_captured
from assistants.errors import InvalidConsultation
from assistants.models import Assistant, Conversation, Speech, Visitor


def find_visitors(assistant: Assistant, visitor: str) -> list[Visitor]:
    """The visitor of this name in every channel. Raises InvalidConsultation where there is none."""
    if not visitor:
        raise InvalidConsultation("Say whose conversations: ?visitor=NAME.", param="visitor")
    visitors = [
        row
        for channel in assistant.channels.all()
        for row in Visitor.objects.filter(
            channel=channel, external_hash=hash_visitor(channel, visitor)
        )
    ]
    if not visitors:
        raise InvalidConsultation("Nothing is kept of this visitor.", param="visitor")
    return visitors


def visitors_in(conversation: Conversation) -> list[Visitor]:
    """Who writes there, whatever their name is. Raises InvalidConsultation for one that a program
    asked without naming a visitor."""
    if conversation.visitor is None:
        raise InvalidConsultation("Nobody knows who writes in this conversation.")
    return [conversation.visitor]


def export_visitors(
    assistant: Assistant, visitors: list[Visitor], by: User | ApiToken
) -> list[dict[str, object]]:
    """Every conversation with all that was said, oldest first."""
    rows = Conversation.objects.filter(visitor__in=visitors)
    audit.record(
        assistant.team, by, "assistant.visitor-exported", assistant.name,
        conversations=rows.count(),
    )  # fmt: skip
    return [
        {
            "id": str(conversation.pk),
            "opened_at": conversation.opened_at.isoformat(),
            "state": conversation.state,
            "csat": conversation.csat,
            "captured": read_captured(conversation),
            "messages": [
                {
                    "at": message.at.isoformat(),
                    "author": message.author,
                    "text": message.text,
                    "original": read_original(message),
                }
                for message in conversation.messages.all()
            ],
        }
        for conversation in rows.order_by("opened_at").prefetch_related("messages")
    ]


@transaction.atomic
def erase_visitors(assistant: Assistant, visitors: list[Visitor], by: User | ApiToken) -> int:
    """Delete them with all that was said and decided; returns the conversations deleted."""
    count = Conversation.objects.filter(visitor__in=visitors).count()
    Speech.objects.filter(replies__message__conversation__visitor__in=visitors).delete()
    Visitor.objects.filter(pk__in=[row.pk for row in visitors]).delete()
    audit.record(
        assistant.team, by, "assistant.visitor-erased", assistant.name, conversations=count
    )
    return count
