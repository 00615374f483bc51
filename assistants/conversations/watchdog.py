"""Hands over conversations that nobody answers, releases those whose person does not, closes quiet
ones, and deletes expired ones."""

from datetime import timedelta

from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from assistants.conversations import state
from assistants.errors import ConversationMovedOn
from assistants.models import Conversation, ConversationState, Message
from assistants.people import owners

UNANSWERED_AFTER = timedelta(seconds=20)
QUIET_AFTER = timedelta(hours=24)
BATCH = 200


def watch() -> None:
    """Hand over what was not answered in time, release what a person does not answer, and close
    what has been quiet for a day."""
    hand_over_unanswered()
    owners.release_without_rights()
    owners.release_unreplied()
    close_quiet()


def hand_over_unanswered() -> int:
    """A visitor's message that a crash left unanswered waits for a person."""
    later = Message.objects.filter(conversation=OuterRef("pk")).exclude(author="visitor")
    open_ones = Conversation.objects.filter(
        state=ConversationState.BOT, last_message_at__lt=now() - UNANSWERED_AFTER
    )
    newest = Message.objects.filter(
        conversation=OuterRef("pk"), author="visitor", at=OuterRef("last_message_at")
    )
    stuck = open_ones.filter(Exists(newest)).exclude(
        Exists(later.filter(at__gte=OuterRef("last_message_at")))
    )
    count = 0
    for conversation in stuck.select_related("channel__assistant")[:BATCH]:
        if state.hand_over(conversation, "not_answered") is not None:
            count += 1
    return count


def close_quiet() -> int:
    quiet = Conversation.objects.filter(
        state=ConversationState.BOT, last_message_at__lt=now() - QUIET_AFTER
    ).select_related("channel__assistant")
    count = 0
    for conversation in quiet[:BATCH]:
        try:
            state.close(conversation, Conversation.Outcome.UNCONFIRMED)
            count += 1
        except ConversationMovedOn:
            continue
    return count


def delete_expired() -> int:
    """Conversations older than their assistant keeps them."""
    count = 0
    closed = Conversation.objects.filter(state=ConversationState.CLOSED)
    for days in closed.values_list("channel__assistant__retention_days", flat=True).distinct():
        old = closed.filter(
            channel__assistant__retention_days=days, closed_at__lt=now() - timedelta(days=days)
        )
        count += old.delete()[0]
    return count
