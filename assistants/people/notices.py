"""What people are mailed of visitors who wait: while somebody still waits, and not one by one."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from accounts.models import Notice
from accounts.notifications.events import Bundling
from assistants.models import Conversation, ConversationState

EVERY = timedelta(minutes=5)


def waiting_notices(notices: Sequence[Notice]) -> set[UUID]:
    """Keys of those whose visitor still waits for a person."""
    talks = {notice.pk: notice.data.get("conversation") for notice in notices}
    waiting = Conversation.objects.filter(
        pk__in=[key for key in talks.values() if key], state=ConversationState.WAITING
    )
    keys = {str(key) for key in waiting.values_list("pk", flat=True)}
    return {notice for notice, talk in talks.items() if talk in keys}


def _describe(count: int) -> str:
    return f"{'1 visitor waits' if count == 1 else f'{count} visitors wait'} for a person."


WAITING = Bundling(every=EVERY, still_true=waiting_notices, describe=_describe)
