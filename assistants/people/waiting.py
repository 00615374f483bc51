"""What a visitor is told who waits for a person: honestly how long, or when somebody is there."""

from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from django.core.cache import cache
from django.db.models import Min, Q
from django.utils.timezone import now

from assistants.answering.texts import text_of
from assistants.models import Conversation, ConversationState, Message
from assistants.people.opening_hours import describe_hours, is_open

LOOKED_BACK = timedelta(days=14)
FEWEST = 5  # Waits, before anything is said of how long they are.
MOST = 50
CACHE_SECONDS = 60
BEFORE = {
    "en": ("1 visitor is before you.", "{n} visitors are before you."),
    "zh": ("您前面还有 1 位访客。", "您前面还有 {n} 位访客。"),
}
LATELY = {
    "en": ("Lately a reply came within a minute.", "Lately a reply took about {n} minutes.",
           "Lately a reply took about {n} hours."),
    "zh": ("近来一分钟内即有回复。", "近来回复大约需要 {n} 分钟。", "近来回复大约需要 {n} 小时。"),
}  # fmt: skip


def waiting_words(conversation: Conversation, language: str, *, again: bool = False) -> str:
    """For a conversation that is handed over now, before it waits; `again`: because the person who
    took it does not answer."""
    assistant = conversation.channel.assistant
    if not is_open(assistant, now()):
        text = text_of(assistant, "handed_over_closed", language)
        return text.replace("{hours}", describe_hours(assistant, language))
    waiting = Conversation.objects.filter(
        channel__assistant__team=assistant.team_id, state=ConversationState.WAITING
    )
    before = waiting.exclude(pk=conversation.pk).count()
    seconds = usual_seconds(assistant.team_id)
    one, many = BEFORE.get(language, BEFORE["en"])
    parts = [
        text_of(assistant, "waits_again" if again else "handed_over", language),
        (one if before == 1 else many.replace("{n}", str(before))) if before else "",
        _lately_words(seconds, language) if seconds is not None else "",
    ]
    return ("" if language == "zh" else " ").join(part for part in parts if part)


def usual_seconds(team_id: UUID) -> float | None:
    """From a hand-over to a person's first reply, lately; None where too few waited."""
    seconds = cache.get_or_set(
        f"assistants:usual-wait:{team_id}", lambda: _measure(team_id), CACHE_SECONDS
    )
    return float(seconds) if seconds is not None and seconds >= 0 else None


def _measure(team_id: UUID) -> float:
    """-1 where too few waited: a cache keeps no None."""
    by_person = Q(messages__author=Message.Author.PERSON)
    rows = (
        Conversation.objects.filter(
            by_person, channel__assistant__team=team_id, handed_over_at__gte=now() - LOOKED_BACK
        )
        .annotate(replied_at=Min("messages__at", filter=by_person))
        .order_by("-handed_over_at")
    )
    waits = [
        _seconds(handed_over_at, replied_at)
        for handed_over_at, replied_at in rows.values_list("handed_over_at", "replied_at")[:MOST]
    ]
    return median(waits) if len(waits) >= FEWEST else -1.0


def _seconds(before: datetime | None, after: datetime | None) -> float:
    assert before is not None  # Of those that the query finds.
    assert after is not None
    return max(0.0, (after - before).total_seconds())


def _lately_words(seconds: float, language: str) -> str:
    soon, minutes, hours = LATELY.get(language, LATELY["en"])
    if seconds < 60:
        return soon
    if seconds < 90 * 60:
        return minutes.replace("{n}", str(max(2, round(seconds / 60))))
    return hours.replace("{n}", str(round(seconds / 3600)))
