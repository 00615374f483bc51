"""Depth and age of every queue, read from the rows that wait, not from the broker's messages.

A message is only a hint, so its number says nothing. Each app registers its queues when it is
ready.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils.timezone import now


@dataclass(frozen=True)
class QueueReading:
    """What waits now. `oldest_at` is when the row that waits longest came, or was due."""

    name: str
    waiting: int
    oldest_at: datetime | None

    @property
    def age(self) -> timedelta:
        return now() - self.oldest_at if self.oldest_at else timedelta()


Waiting = Callable[[], QuerySet[Any]]
_queues: dict[str, tuple[Waiting, str]] = {}


def register_queue(name: str, waiting: Waiting, since: str) -> None:
    """A queue of rows: `waiting` gives those that nobody works on, `since` names the column that
    says from when on each waits. Registering a name again replaces it."""
    _queues[name] = (waiting, since)


def read_queues() -> list[QueueReading]:
    """Every queue, by name; one query each."""
    return [_read(name, *_queues[name]) for name in sorted(_queues)]


def _read(name: str, waiting: Waiting, since: str) -> QueueReading:
    waiting_rows = waiting().order_by().aggregate(rows=Count("pk"), oldest=Min(since))
    return QueueReading(name, waiting_rows["rows"], waiting_rows["oldest"])
