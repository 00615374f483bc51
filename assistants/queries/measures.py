"""What the monitor counts beside shares: volumes, seconds and money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q

from assistants.answering.spending import spent_parts_micro
from assistants.models import Assistant, Decision, Message
from assistants.queries.figures import consultations, count_consultations, most_frequent
from web.browser.page_memo import once_per_page

VISITOR, BOT, PERSON = (
    author.value for author in (Message.Author.VISITOR, Message.Author.BOT, Message.Author.PERSON)
)
DEFINITIONS = {
    "channel": "Consultations by the channel they came through.",
    "language": "Consultations by their language.",
    "reason": "Consultations that were handed over to a person, by why.",
    "topic": "Approved answers given, by their key.",
    "seconds_to_answer": "From a consultation's first question to the assistant's first reply.",
    "seconds_to_person": "From the hand-over to the first reply of a person.",
    "cost": "All that the ledger holds for this assistant (reading questions, models of the team"
    " that write, voice), and what the provider of a writer elsewhere asks for the tokens it read"
    " and wrote, by the two prices in the settings; divided by the questions that got an answer"
    " (approved, a passage, or written). Refused questions cost as well, and are in the sum.",
}

TITLES = {
    "channel": "Volume by channel",
    "language": "Volume by language",
    "topic": "Volume by topic",
    "reason": "Handed over, by reason",
    "seconds_to_answer": "First answer",
    "seconds_to_person": "First reply of a person",
    "cost": "An answered question costs",
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
    ledger_micro: int  # Of it, what the ledger holds,
    provider_micro: int  # and what the writer's own provider asks.
    answered: int
    per_answer_micro: float | None


def volumes(
    assistant: Assistant, since: datetime, until: datetime
) -> dict[str, list[tuple[str, int]]]:
    """Of channels, languages and topics: (name, count), the most frequent first."""
    rows = count_consultations(assistant, since, until)
    answered = [
        row
        for row in _count_decisions(assistant, since, until)
        if row["route"] == Decision.Route.ANSWER
    ]
    return {
        "channel": most_frequent(rows, "channel__kind"),
        "language": most_frequent(rows, "language"),
        "topic": most_frequent(answered, "answer_key"),
    }


@once_per_page
def _count_decisions(
    assistant: Assistant, since: datetime, until: datetime
) -> list[Mapping[str, Any]]:
    """Of what the assistant answered itself, by way and topic."""
    rows = Decision.objects.filter(
        message__channel__assistant=assistant,
        route__in=Decision.ANSWERED,
        at__gte=since,
        at__lt=until,
    )
    return list(rows.order_by().values("route", "answer_key").annotate(n=Count("pk")))


@once_per_page
def _first_moments(
    assistant: Assistant, since: datetime, until: datetime
) -> list[dict[str, datetime | None]]:
    """Of each consultation: the first word of everybody in it, and the hand-over."""
    firsts = {
        f"first_{author}": Min("messages__at", filter=Q(messages__author=author))
        for author in (VISITOR, BOT, PERSON)
    }
    rows = consultations(assistant, since, until).annotate(**firsts)
    return list(rows.values("handed_over_at", *firsts))


def seconds_to_answer(assistant: Assistant, since: datetime, until: datetime) -> Seconds:
    """Of each consultation that got one."""
    return _waits(assistant, since, until, f"first_{VISITOR}", f"first_{BOT}")


def seconds_to_person(assistant: Assistant, since: datetime, until: datetime) -> Seconds:
    """Of each consultation that a person took over."""
    return _waits(assistant, since, until, "handed_over_at", f"first_{PERSON}")


def _waits(assistant: Assistant, since: datetime, until: datetime, start: str, end: str) -> Seconds:
    moments = [(row[start], row[end]) for row in _first_moments(assistant, since, until)]
    return percentiles(
        [
            max(0.0, (after - before).total_seconds())
            for before, after in moments
            if before and after
        ]
    )


def percentiles(seconds: Sequence[float]) -> Seconds:
    """The values at the ranks n / 2 and 0.95 n, rounded down, of the sorted seconds."""
    ordered = sorted(seconds)
    if not ordered:
        return Seconds(0, None, None)
    n = len(ordered)
    return Seconds(n, ordered[n // 2], ordered[int(n * 0.95)])


def cost_of_answers(assistant: Assistant, since: datetime, until: datetime) -> Cost:
    """What the assistant's answers cost, from the ledger."""
    ledger, provider = spent_parts_micro(assistant, since, until)
    answered = sum(row["n"] for row in _count_decisions(assistant, since, until))
    spent = ledger + provider
    return Cost(spent, ledger, provider, answered, spent / answered if answered else None)
