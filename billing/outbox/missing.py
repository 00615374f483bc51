"""Usage that the builder has passed over: none, unless somebody wrote it without the lock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Exists, F, Max, Min, OuterRef, QuerySet, Sum
from django.db.models.functions import Least
from django.utils.timezone import now

from billing.models import Reported, StripeOutboxEvent, StripeOutboxItem, UsageEvent, UsageSegment
from billing.outbox.facts import MS

Facts = QuerySet[UsageSegment] | QuerySet[UsageEvent]
LOOKS_BACK = timedelta(days=40)


@dataclass(frozen=True)
class Missing:
    """Whole seconds or tokens of one meter that no row holds and no build would look at."""

    meter: str
    units: int
    first_at: datetime
    last_at: datetime


def missing_facts(team_id: UUID) -> list[Missing]:
    """What lies below the newest fact taken in and was not; has the next build look there."""
    seen = Reported.objects.filter(team_id=team_id).aggregate(
        segment=Max("upto_segment"), event=Max("upto_event")
    )
    since = now() - LOOKS_BACK
    segments = UsageSegment.objects.filter(
        ~Exists(StripeOutboxItem.objects.filter(segment=OuterRef("pk"))),
        team_id=team_id, pk__lte=seen["segment"] or 0, recorded_at__gte=since,
    )  # fmt: skip
    events = UsageEvent.objects.filter(
        ~Exists(StripeOutboxEvent.objects.filter(event=OuterRef("pk"))),
        team_id=team_id, pk__lte=seen["event"] or 0, occurred_at__gte=since,
    )  # fmt: skip
    _look_again(team_id, "upto_segment", segments)
    _look_again(team_id, "upto_event", events)
    return [
        *_by_meter(segments, "run__rate__sku", "device_ms", "recorded_at", MS),
        *_by_meter(events, "kind", "units", "occurred_at", 1),
    ]


def _look_again(
    team_id: UUID, upto: str, facts: "QuerySet[UsageSegment] | QuerySet[UsageEvent]"
) -> None:
    first = facts.aggregate(first=Min("pk"))["first"]
    if first is not None:
        Reported.objects.filter(team_id=team_id).update(**{upto: Least(F(upto), first - 1)})


def _by_meter(
    facts: Facts,
    meter: str,
    units: str,
    at: str,
    unit: int,
) -> list[Missing]:
    found = facts.values_list(meter).order_by(meter)
    found = found.annotate(total=Sum(units), first=Min(at), last=Max(at))
    return [Missing(name, -(-total // unit), first, last) for name, total, first, last in found]
