"""Phrasings by hand and from corrections; hashes that find repeated ones."""

import hashlib

from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.models import ApiToken, User
from assistants.models import Answer, Assistant, Phrasing
from engine.answering.terms import normalise


def hash_text(text: str) -> str:
    """SHA-256 of the normalised text, in hex."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


@transaction.atomic
def add_phrasing(
    answer: Answer, text: str, origin: Phrasing.Origin = Phrasing.Origin.WRITTEN
) -> Phrasing:
    """The phrasing, new or known. A suggested one that somebody writes counts from then on."""
    phrasing, created = Phrasing.objects.get_or_create(
        answer=answer,
        text_hash=hash_text(text),
        defaults={
            "text": text.strip(),
            "language": answer.language,
            "origin": origin,
        },
    )
    if not created and phrasing.origin == Phrasing.Origin.SUGGESTED:
        phrasing.origin = origin
        phrasing.save(update_fields=["origin"])
    return phrasing


@transaction.atomic
def remove_phrasing(phrasing: Phrasing, by: User | ApiToken) -> None:
    """Teach it no more, from the next version on."""
    answer = phrasing.answer
    audit.record(
        answer.assistant.team, by, "answer.phrasing-removed", answer.key, text=phrasing.text[:200]
    )
    phrasing.delete()


def taught_phrasings(assistant: Assistant) -> QuerySet[Phrasing]:
    """Accepted phrasings of approved answers, in a fixed order."""
    return (
        Phrasing.objects.filter(
            answer__assistant=assistant,
            answer__state=Answer.State.APPROVED,
            accepted_at__isnull=False,
        )
        .select_related("answer")
        .order_by("pk")
    )
