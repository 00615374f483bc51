"""The monitor: figures over some days, each with its definition and its count."""

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from assistants.lifecycle import find_assistant
from assistants.models import Assistant
from assistants.models.words import HAND_OVER_WORDS, KIND_WORDS
from assistants.queries import figures, measures
from assistants.views.assistants import page_context
from web.language.sentences import translated
from web.requests import AuthenticatedRequest
from web.spreadsheet_cells import escape_formula
from web.templatetags.language import language_word

CHOICES = (1, 7, 30, 90)
ROWS_SHOWN = 50


@login_required
@require_safe
def monitor(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    assistant = find_assistant(request.user, assistant_id)
    days, since, until = _period(request)
    period = (assistant, since, until)
    context = {
        **page_context(request, assistant),
        **_rows_context(request, *period),
        "figures": figures.compute_figures(*period),
        "reasons": [
            (reason, HAND_OVER_WORDS.get(reason, reason), n)
            for reason, n in figures.hand_over_reasons(*period)
        ],
        "volumes": {
            kind: [(name, _volume_words(kind, name), n) for name, n in rows]
            for kind, rows in measures.volumes(*period).items()
        },
        "definitions": [
            (measures.TITLES[name], words) for name, words in measures.DEFINITIONS.items()
        ],
        "seconds": measures.seconds_to_answer(*period),
        "person_seconds": measures.seconds_to_person(*period),
        "cost": measures.cost_of_answers(*period),
        "days": days,
        "choices": CHOICES,
        "least": figures.MIN_SHOWN,
    }
    return render(request, "assistants/monitor.html", context)


def _rows_context(
    request: AuthenticatedRequest, assistant: Assistant, since: datetime, until: datetime
) -> dict[str, object]:
    """The rows that ?part= or ?show= asks for: conversations, or single decisions."""
    period = (assistant, since, until)
    kind, _, part = request.GET.get("part", "")[:250].replace("\0", "").partition(":")
    if kind in figures.PARTS and part:
        rows = figures.part_of_consultations(*period, kind, part)
        return {"shown": part, "conversations": rows[:ROWS_SHOWN]}
    figure = request.GET.get("show", "")
    if figure in figures.OF_DECISIONS:
        decisions = figures.counted_decisions(*period, figure)[:ROWS_SHOWN]
        return {"shown": figures.TITLES[figure], "decisions": decisions}
    if figure not in figures.SHARES:
        figure = "consultations"
    conversations = figures.counted_consultations(*period, figure)[:ROWS_SHOWN]
    return {"shown": figures.TITLES[figure], "conversations": conversations}


def _volume_words(kind: str, name: str) -> str:
    if kind == "channel":
        return translated(KIND_WORDS.get(name, name))
    return language_word(name) if kind == "language" else name


@login_required
@require_safe
def export(request: AuthenticatedRequest, assistant_id: UUID) -> HttpResponse:
    """The figures as CSV."""
    assistant = find_assistant(request.user, assistant_id)
    _, since, until = _period(request)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{assistant.name}-figures.csv"'
    writer = csv.writer(response)
    writer.writerow(["figure", "value", "count", "of", "low", "high", "definition"])
    for figure in figures.compute_figures(assistant, since, until):
        row = [figure.name, figure.value, figure.count, figure.n, figure.low, figure.high]
        writer.writerow([*row, figure.definition])
    for name, value, count in _amounts(assistant, since, until):
        definition = measures.DEFINITIONS[name.partition(":")[0]]
        writer.writerow([escape_formula(name), value, count, "", "", "", definition])
    return response


def _amounts(
    assistant: Assistant, since: datetime, until: datetime
) -> Iterator[tuple[str, float | None, int]]:
    """(name, value, count) of each figure that is not a share."""
    cost = measures.cost_of_answers(assistant, since, until)
    yield "cost: micro-USD for each answer", cost.per_answer_micro, cost.answered
    answer = measures.seconds_to_answer(assistant, since, until)
    yield "seconds_to_answer: median", answer.median, answer.n
    yield "seconds_to_answer: 95 of 100 within", answer.p95, answer.n
    person = measures.seconds_to_person(assistant, since, until)
    yield "seconds_to_person: median", person.median, person.n
    yield "seconds_to_person: 95 of 100 within", person.p95, person.n
    for reason, count in figures.hand_over_reasons(assistant, since, until):
        yield f"reason: {reason}", count, count
    for kind, rows in measures.volumes(assistant, since, until).items():
        for name, count in rows:
            yield f"{kind}: {name}", count, count


def _period(request: AuthenticatedRequest) -> tuple[int, datetime, datetime]:
    text = request.GET.get("days", "")
    days = int(text) if text in {str(choice) for choice in CHOICES} else 30
    until = now()
    return days, until - timedelta(days=days), until
