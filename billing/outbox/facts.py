"""What was metered and is not in the outbox yet: segments of compute and counted uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, Max, OuterRef

from billing.models import (
    Reported,
    StripeOutboxEvent,
    StripeOutboxItem,
    UsageEvent,
    UsageSegment,
)

BATCH = 2000  # Facts taken in per transaction, of each kind.
MS, ONE = 1000, 1  # Base units per reported unit: milliseconds per second, tokens per token.


@dataclass(frozen=True)
class Fact:
    """One metered row, in base units of its meter."""

    pk: int
    meter: str
    units: int
    unit: int
    amount_micro: int
    at: datetime

    @property
    def is_segment(self) -> bool:
        return self.unit == MS


def new_facts(team_id: UUID) -> list[Fact]:
    """The next facts of a team, oldest first. The team's budget must be locked.

    Facts are only written under that lock, so within a team their ids are in commit order and
    nothing can appear below the newest id that was taken in.
    """
    seen = Reported.objects.filter(team_id=team_id).aggregate(
        segment=Max("upto_segment"), event=Max("upto_event")
    )
    facts = [*_segments(team_id, seen["segment"] or 0), *_events(team_id, seen["event"] or 0)]
    return sorted(facts, key=lambda fact: fact.at)


def _segments(team_id: UUID, after: int) -> Iterator[Fact]:
    carried = StripeOutboxItem.objects.filter(segment=OuterRef("pk"))
    rows = UsageSegment.objects.filter(~Exists(carried), team_id=team_id, pk__gt=after)
    columns = ("pk", "run__rate__sku", "device_ms", "amount_micro", "recorded_at")
    for pk, meter, device_ms, amount, at in rows.order_by("pk").values_list(*columns)[:BATCH]:
        yield Fact(pk, meter, device_ms, MS, amount, at)


def _events(team_id: UUID, after: int) -> Iterator[Fact]:
    carried = StripeOutboxEvent.objects.filter(event=OuterRef("pk"))
    rows = UsageEvent.objects.filter(~Exists(carried), team_id=team_id, pk__gt=after)
    columns = ("pk", "kind", "units", "amount_micro", "occurred_at")
    for pk, meter, units, amount, at in rows.order_by("pk").values_list(*columns)[:BATCH]:
        yield Fact(pk, meter, units, ONE, amount, at)


NEEDING = """
SELECT budget.team_id FROM billing_budget budget
LEFT JOIN LATERAL (
    SELECT coalesce(max(upto_segment), 0) AS segment, coalesce(max(upto_event), 0) AS event
    FROM billing_reported WHERE team_id = budget.team_id
) seen ON true
WHERE EXISTS (SELECT FROM billing_usagesegment fact
              WHERE fact.team_id = budget.team_id AND fact.id > seen.segment)
   OR EXISTS (SELECT FROM billing_usageevent fact
              WHERE fact.team_id = budget.team_id AND fact.id > seen.event)
   OR EXISTS (SELECT FROM billing_ledgerentry entry
              WHERE entry.team_id = budget.team_id AND entry.kind IN ('refund', 'adjustment')
                AND NOT EXISTS (SELECT FROM billing_stripeoutboxentry carried
                                WHERE carried.entry_id = entry.id))
"""


def teams_with_news() -> list[UUID]:
    """Teams with something that the outbox has not taken in: a few index look-ups per team."""
    with connection.cursor() as cursor:
        cursor.execute(NEEDING)
        return [team_id for (team_id,) in cursor.fetchall()]
