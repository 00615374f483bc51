"""What the monitor counts beside shares: volumes, seconds and money."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q, QuerySet

from assistants.answering.spending import spent_micro
from assistants.models import Assistant, Conversation, Decision, Message
from assistants.queries.figures import consultations

ANSWERED = (Decision.Route.ANSWER, Decision.Route.WRITTEN)
DEFINITIONS = {
    "channel": "Consultations by the channel they came through.",
    "language": "Consultations by their language.",
    "topic": "Answers given, by their key.",
    "seconds_to_answer": "From a consultation's first question to the assistant's first reply.",
    "seconds_to_person": "From the hand-over to the first reply of a person.",
    "cost": "All that the ledger holds for this assistant's use of models, divided by the questions"
    " it answered itself.",
}


@dataclass(frozen=True)
class Seconds:
    """Percentiles of some waiting times; None where nobody waited."""

    n: int
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Cost:
    """Millionths of a US dollar; `per_answer` is None where nothing was answered."""

    spent_micro: int
    answered: int
    per_answer_micro: float | None


def volumes(
    assistant: Assistant, since: datetime, until: datetime
) -> dict[str, list[tuple[str, int]]]:
    """Of channels, languages and topics: (name, count), the most frequent first."""
    rows = consultations(assistant, since, until)
    given = Decision.objects.filter(
        message__channel__assistant=assistant, route=Decision.Route.ANSWER,
        at__gte=since, at__lt=until,
    )  # fmt: skip
    return {
        "channel": _count_by(rows, "channel__kind"),
        "language": _count_by(rows, "language"),
        "topic": _count_by(given, "answer_key"),
    }


def _count_by(
    rows: QuerySet[Conversation] | QuerySet[Decision], field: str
) -> list[tuple[str, int]]:
    counted = rows.order_by().values(field).annotate(n=Count("pk")).order_by("-n", field)
    return [(row[field], row["n"]) for row in counted]


def seconds_to_answer(assistant: Assistant, since: datetime, until: datetime) -> Seconds:
    """Of each consultation that got one."""
    rows = consultations(assistant, since, until).annotate(
        asked=Min("messages__at", filter=Q(messages__author=Message.Author.VISITOR)),
        told=Min("messages__at", filter=Q(messages__author=Message.Author.BOT)),
    )
    pairs = rows.exclude(told=None).values_list("asked", "told")
    return percentiles([(told - asked).total_seconds() for asked, told in pairs])


def seconds_to_person(assistant: Assistant, since: datetime, until: datetime) -> Seconds:
    """Of each consultation that a person took over."""
    rows = consultations(assistant, since, until).annotate(
        told=Min("messages__at", filter=Q(messages__author=Message.Author.PERSON))
    )
    pairs = rows.exclude(told=None).exclude(handed_over_at=None)
    waits = pairs.values_list("handed_over_at", "told")
    return percentiles([max(0.0, (told - since).total_seconds()) for since, told in waits])


def percentiles(seconds: Sequence[float]) -> Seconds:
    """The values at the ranks n / 2 and 0.95 n, rounded down, of the sorted seconds."""
    ordered = sorted(seconds)
    if not ordered:
        return Seconds(0, None, None)
    n = len(ordered)
    return Seconds(n, ordered[n // 2], ordered[int(n * 0.95)])


def cost_of_answers(assistant: Assistant, since: datetime, until: datetime) -> Cost:
    """What the assistant's answers cost, from the ledger."""
    spent = spent_micro(assistant, since, until)
    answered = Decision.objects.filter(
        message__channel__assistant=assistant, route__in=ANSWERED, at__gte=since, at__lt=until
    ).count()
    return Cost(spent, answered, spent / answered if answered else None)
