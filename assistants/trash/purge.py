"""Deletes for good the assistants that were in the trash for too long."""

import logging

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from accounts import audit
from assistants.models import Assistant, Conversation, Speech, Visitor
from web.browser.trash import restorable_since

logger = logging.getLogger(__name__)
MAX_AT_ONCE = 20  # An hourly duty comes again.
CONVERSATIONS_AT_ONCE = 500  # Of a transaction: each has messages, decisions and notes.


def purge_assistants() -> int:
    """Delete what they know, were asked and said, with their channels and keys. Rows stay as names,
    for what was paid, and datasets stay with their project. Returns how many.

    Those of which people were told that what was said stays keep it.

    The mark comes last: a duty that is ended before it finds the assistant again.
    """
    due = Assistant.objects.filter(
        retired_at__lt=restorable_since(), purged_at=None, keeps_history=False
    )
    purged = list(due.select_related("team").order_by("pk")[:MAX_AT_ONCE])
    for assistant in purged:
        _delete_conversations(assistant)
        with transaction.atomic():
            Speech.objects.filter(assistant=assistant).delete()
            Visitor.objects.filter(channel__assistant=assistant).delete()
            assistant.versions.all().delete()
            for knowledge in ("rules", "test_cases", "answers", "sources", "channels"):
                getattr(assistant, knowledge).all().delete()
            Assistant.objects.filter(pk=assistant.pk).update(
                purged_at=now(),
                texts={},
                writer_url="",
                writer_key="",
                writer_keys={},
                voice_url="",
                voice_key="",
            )
            audit.record(assistant.team, None, "assistant.purged", assistant.name)
        logger.info("Deleted assistant %s from the trash", assistant.pk)
    return len(purged)


def _delete_conversations(assistant: Assistant) -> None:
    """A few at a time, each batch in a transaction of its own."""
    rows: QuerySet[Conversation] = Conversation.objects.filter(channel__assistant=assistant)
    while some := list(rows.order_by("pk").values_list("pk", flat=True)[:CONVERSATIONS_AT_ONCE]):
        Conversation.objects.filter(pk__in=some).delete()
