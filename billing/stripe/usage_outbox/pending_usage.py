"""Loads metered usage that is not in the outbox yet: segments of compute, and usage events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from django.db import connection
from django.db.models import Exists, Max, Min, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from billing.models import (
    Budget,
    LedgerEntry,
    MeterProgress,
    Rate,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
    UsageEvent,
    UsageSegment,
)

LOOKBACK = timedelta(days=40)  # Longer than any service period that may still be open.
BATCH_SIZE = 2000  # Items of each kind in one transaction.
# Base units per reported unit: milliseconds per second, tokens per token.
MS_PER_UNIT, TOKENS_PER_UNIT = 1000, 1


@dataclass(frozen=True)
class UsageItem:
    """A metered row. `units`: in base units of its meter; `unit`: base units per reported unit."""

    pk: int
    is_segment: bool  # Of compute; else a usage event.
    meter: str
    price: str  # At Stripe, of the rate at which it was used; "" where it is not there.
    units: int
    unit: int
    amount_micro: int
    at: datetime


def load_pending_usage(team_id: UUID, is_early: Callable[[datetime], bool]) -> list[UsageItem]:
    """The next items of a team up to what is too early, oldest first. Its budget must be locked.

    Usage is only written under that lock, so that a team's ids are in commit order and no item can
    appear below the newest id in the outbox.
    """
    newest = MeterProgress.objects.filter(team_id=team_id).aggregate(
        segment=Max("upto_segment"), event=Max("upto_event")
    )
    kinds = (
        _pending_segments(team_id, newest["segment"] or 0),
        _pending_events(team_id, newest["event"] or 0),
    )
    # The rest of a kind waits with the first that does: what is below the newest is not found.
    items = [item for kind in kinds for item in takewhile(lambda it: not is_early(it.at), kind)]
    return sorted(items, key=lambda item: item.at)


def _pending_segments(team_id: UUID, after: int) -> Iterator[UsageItem]:
    carried = StripeOutboxItem.objects.filter(segment=OuterRef("pk"))
    rows = UsageSegment.objects.filter(~Exists(carried), team_id=team_id, pk__gt=after)
    rate = ("run__rate__sku", "run__rate__stripe_price_id")
    columns = ("pk", *rate, "device_ms", "amount_micro", "recorded_at")
    for row in rows.order_by("pk").values_list(*columns)[:BATCH_SIZE]:
        pk, meter, price, device_ms, amount, at = row
        yield UsageItem(pk, True, meter, price, device_ms, MS_PER_UNIT, amount, at)


def _pending_events(team_id: UUID, after: int) -> Iterator[UsageItem]:
    carried = StripeOutboxEvent.objects.filter(event=OuterRef("pk"))
    rows = UsageEvent.objects.filter(~Exists(carried), team_id=team_id, pk__gt=after)
    rates = Rate.objects.filter(sku=OuterRef("kind"), valid__contains=OuterRef("occurred_at"))
    price = Coalesce(Subquery(rates.values("stripe_price_id")), Value(""))
    columns = ("pk", "kind", "price", "units", "amount_micro", "occurred_at")
    priced = rows.order_by("pk").annotate(price=price).values_list(*columns)
    for pk, meter, price_id, units, amount, at in priced[:BATCH_SIZE]:
        yield UsageItem(pk, False, meter, price_id, units, TOKENS_PER_UNIT, amount, at)


_PENDING_TEAMS_SQL = f"""
SELECT budget.team_id FROM {Budget._meta.db_table} budget
LEFT JOIN LATERAL (
    SELECT coalesce(max(upto_segment), 0) AS segment, coalesce(max(upto_event), 0) AS event
    FROM {MeterProgress._meta.db_table} WHERE team_id = budget.team_id
) seen ON true
WHERE EXISTS (SELECT FROM {UsageSegment._meta.db_table} segment
              WHERE segment.team_id = budget.team_id AND segment.id > seen.segment)
   OR EXISTS (SELECT FROM {UsageEvent._meta.db_table} event
              WHERE event.team_id = budget.team_id AND event.id > seen.event)
   OR EXISTS (SELECT FROM {LedgerEntry._meta.db_table} entry
              WHERE entry.team_id = budget.team_id AND entry.kind IN ('refund', 'adjustment')
                AND NOT EXISTS (SELECT FROM {StripeOutboxEntry._meta.db_table} carried
                                WHERE carried.entry_id = entry.id))
"""


def look_below_progress() -> None:
    """Set the progress of teams back to items that were missed within LOOKBACK, so that the next
    build takes them in. There are none unless usage was written without the lock.
    """
    since = now() - LOOKBACK
    carried = StripeOutboxItem.objects.filter(segment=OuterRef("pk"))
    segments = UsageSegment.objects.filter(~Exists(carried), recorded_at__gte=since)
    counted = StripeOutboxEvent.objects.filter(event=OuterRef("pk"))
    events = UsageEvent.objects.filter(~Exists(counted), occurred_at__gte=since)
    for upto, usage in (("upto_segment", segments), ("upto_event", events)):
        first_by_team = usage.values_list("team").annotate(first=Min("pk")).order_by()
        for team_id, first in first_by_team:
            progress = MeterProgress.objects.filter(team_id=team_id, **{f"{upto}__gte": first})
            progress.update(**{upto: first - 1})


def teams_with_pending_usage() -> list[UUID]:
    """The teams with usage that is not in the outbox. Costs a few index look-ups per team."""
    with connection.cursor() as cursor:
        cursor.execute(_PENDING_TEAMS_SQL)
        return [team_id for (team_id,) in cursor.fetchall()]
