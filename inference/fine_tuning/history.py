"""The events of a fine-tune as OpenAI lists them: sentences, and what each step measured.

Two tables read as one list, newest first; an event's id names its table.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from inference.models import FineTuningJob
from training.models import JobEvent, MetricPoint, TrainingJob

LEVELS = {"warning": "warn"}
# Our measurements by the names that OpenAI's clients plot.
METRIC_NAMES = {"train_loss": "train_loss", "validation_loss": "valid_loss"}
_EVENT_ID = re.compile(r"ftevent-([mp])(\d{1,18})")


@dataclass(frozen=True)
class HistoryEvent:
    """One line of the list."""

    id: str
    at: datetime
    level: str
    message: str
    type: str  # "message" or "metrics"
    data: dict[str, object]


def list_events(
    job: FineTuningJob, *, after: str | None, limit: int
) -> tuple[list[HistoryEvent], bool] | None:
    """Events older than `after`, and whether there are more; None for an unknown `after`."""
    if job.job is None:
        return ([], False) if after is None else None
    messages: QuerySet[Any] = JobEvent.objects.filter(job=job.job)
    points: QuerySet[Any] = MetricPoint.objects.filter(job=job.job, name__in=METRIC_NAMES)
    if after is not None:
        match = _EVENT_ID.fullmatch(after)
        rows = messages if match and match[1] == "m" else points
        last = rows.filter(pk=int(match[2])).first() if match else None
        if last is None:
            return None
        # At one moment, sentences come before measurements in the list.
        messages = _older(messages, last, after_equals=False)
        points = _older(points, last, after_equals=isinstance(last, JobEvent))
    events = [
        *_page(messages, limit, _message_event),
        *_page(points, limit, lambda point: _metrics_event(point, job.job)),
    ]
    events.sort(key=lambda event: (event.at, event.type == "message", _number(event)), reverse=True)
    return events[:limit], len(events) > limit


def _older(rows: QuerySet[Any], last: Any, *, after_equals: bool) -> QuerySet[Any]:
    if isinstance(last, rows.model):
        return rows.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
    return rows.filter(at__lte=last.at) if after_equals else rows.filter(at__lt=last.at)


def _page(
    rows: QuerySet[Any], limit: int, describe: Callable[[Any], HistoryEvent]
) -> list[HistoryEvent]:
    return [describe(row) for row in rows.order_by("-at", "-pk")[: limit + 1]]


def _number(event: HistoryEvent) -> int:
    return int(event.id.removeprefix("ftevent-")[1:])


def _message_event(row: JobEvent) -> HistoryEvent:
    level = LEVELS.get(row.level, row.level)
    known = level if level in ("info", "warn", "error") else "info"
    return HistoryEvent(f"ftevent-m{row.pk}", row.at, known, row.message, "message", row.data)


def _metrics_event(row: MetricPoint, job: TrainingJob | None) -> HistoryEvent:
    total = job.total_steps if job else 0
    name = METRIC_NAMES[row.name]
    shown = name.replace("train_", "training ").replace("valid_", "validation ")
    message = f"Step {row.step}/{max(total, row.step)}: {shown}={row.value:.4f}"
    data: dict[str, object] = {"step": row.step, "total_steps": total, name: row.value}
    return HistoryEvent(f"ftevent-p{row.pk}", row.at, "info", message, "metrics", data)
