"""Counts and latencies of requests by hour or day, of a team and of one endpoint."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypedDict

from django.db import connection
from django.db.models import Sum
from django.db.models.functions import TruncHour
from django.utils.timezone import now

from accounts.models import Team
from billing.models import UsageDay, UsageEvent
from inference.models import Deployment, RequestLog
from inference.queries.rollout import Percentile
from web.language.sentences import translated

HOURS, DAYS = 24, 30
LATENCY_SHARES = {"half within": 0.5, "95 of 100 within": 0.95, "99 of 100 within": 0.99}
_LATENCIES = f"""
SELECT extract(epoch FROM date_trunc(%(unit)s, at AT TIME ZONE 'UTC')),
    percentile_cont(%(shares)s::float8[]) WITHIN GROUP (ORDER BY latency_ms)
FROM {RequestLog._meta.db_table}
WHERE deployment_id = %(deployment)s AND at >= %(since)s AND status = 200
GROUP BY 1 ORDER BY 1
"""


FAILURES = ("refused (4xx)", "failed (5xx)")  # Series, in the order of the query.
_FAILURES = f"""
SELECT extract(epoch FROM date_trunc(%(unit)s, at AT TIME ZONE 'UTC')),
    count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS refused,
    count(*) FILTER (WHERE status >= 500) AS failed
FROM {RequestLog._meta.db_table}
WHERE deployment_id = %(deployment)s AND at >= %(since)s
GROUP BY 1 ORDER BY 1
"""


@dataclass
class Traffic:
    """Counts of requests in each of the last HOURS, oldest first, in all and by source, which is
    a deployment's."""

    by_hour: list[int] = field(default_factory=lambda: [0] * HOURS)
    by_source: dict[str, list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0] * HOURS)
    )


def load_traffic(team: Team) -> Traffic:
    since = now() - timedelta(hours=HOURS)
    events = UsageEvent.objects.filter(team=team, occurred_at__gte=since, requests__gt=0)
    rows = events.annotate(hour=TruncHour("occurred_at")).values_list("source", "hour")
    traffic = Traffic()
    for source, hour, count in rows.annotate(count=Sum("requests")):
        place = min(HOURS - 1, max(0, int((hour - since).total_seconds() // 3600)))
        traffic.by_hour[place] += count
        traffic.by_source[source][place] += count
    return traffic


@dataclass(frozen=True)
class DailyUsage:
    """A deployment's usage since midnight UTC."""

    requests: int
    tokens: int
    amount_micro: int
    p50_ms: float | None  # Of the sampled requests.
    p99_ms: float | None


def usage_today(deployment: Deployment) -> DailyUsage:
    """Exact counts from billing; latencies from the sample."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    used = UsageEvent.objects.filter(
        team_id=deployment.team_id, source=deployment.source, occurred_at__gte=midnight
    ).aggregate(requests=Sum("requests"), units=Sum("units"), amount=Sum("amount_micro"))
    answered = RequestLog.objects.filter(deployment=deployment, at__gte=midnight, status=200)
    latencies = answered.aggregate(
        p50_ms=Percentile("latency_ms", 0.5), p99_ms=Percentile("latency_ms", 0.99)
    )
    return DailyUsage(used["requests"] or 0, used["units"] or 0, used["amount"] or 0, **latencies)


class TrafficSeries(TypedDict):
    """One line of a chart: points (seconds since 1970, value) by hour or day."""

    name: str
    points: list[tuple[int, float]]
    measured: int


def requests_chart(deployment: Deployment, *, by_day: bool) -> list[TrafficSeries]:
    """Requests of each of the last HOURS, or DAYS (UTC); no series if there were none."""
    counts = _requests_by_day(deployment) if by_day else _requests_by_hour(deployment)
    if not any(counts.values()):
        return []
    return [TrafficSeries(name="requests", points=sorted(counts.items()), measured=len(counts))]


def latency_chart(deployment: Deployment, *, by_day: bool) -> list[TrafficSeries]:
    """Milliseconds within which shares of the sampled requests were answered, by hour or day."""
    rows = _sampled(_LATENCIES, deployment, by_day=by_day, shares=list(LATENCY_SHARES.values()))
    return _series(list(LATENCY_SHARES), [(at, values) for at, values in rows])


def failures_chart(deployment: Deployment, *, by_day: bool) -> list[TrafficSeries]:
    """Of the sampled requests those that were refused and those that failed, by hour or day in
    which there were any requests; no series if none did."""
    rows = [(at, counts) for at, *counts in _sampled(_FAILURES, deployment, by_day=by_day)]
    return _series(FAILURES, rows) if any(sum(counts) for _, counts in rows) else []


CHARTS = {"requests": requests_chart, "latency": latency_chart, "failures": failures_chart}


def _sampled(
    query: str, deployment: Deployment, *, by_day: bool, **facts: list[float]
) -> list[tuple[Any, ...]]:
    """The rows of a query of the log since HOURS or DAYS ago."""
    unit, span = ("day", timedelta(days=DAYS)) if by_day else ("hour", timedelta(hours=HOURS))
    since = now() - span
    with connection.cursor() as cursor:
        cursor.execute(query, {"unit": unit, "deployment": deployment.pk, "since": since, **facts})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _series(
    names: Sequence[str], rows: Sequence[tuple[Decimal, Sequence[float]]]
) -> list[TrafficSeries]:
    """Of each name its values, which stand in each row in the order of the names."""
    return [
        TrafficSeries(
            name=translated(name),
            points=[(int(at), values[k]) for at, values in rows],
            measured=len(rows),
        )
        for k, name in enumerate(names)
    ]


def _requests_by_hour(deployment: Deployment) -> dict[int, float]:
    first = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    counts = {int(first.timestamp()) + 3600 * place: 0.0 for place in range(HOURS)}
    events = UsageEvent.objects.filter(
        team_id=deployment.team_id, source=deployment.source, occurred_at__gte=first
    )
    hours = events.annotate(hour=TruncHour("occurred_at")).values_list("hour")
    for hour, count in hours.annotate(count=Sum("requests")):
        counts[int(hour.timestamp())] = count
    return counts


def _requests_by_day(deployment: Deployment) -> dict[int, float]:
    first = now().date() - timedelta(days=DAYS - 1)
    usage_days = UsageDay.objects.filter(
        team_id=deployment.team_id, source=deployment.source, day__gte=first
    )
    by_day = dict(usage_days.values_list("day").annotate(count=Sum("requests")))
    days = (first + timedelta(days=place) for place in range(DAYS))
    return {
        int(datetime.combine(day, time.min, UTC).timestamp()): by_day.get(day, 0) for day in days
    }


def sparkline(values: Sequence[float]) -> str:
    """SVG points in a box of 100 by 24; a level line at the bottom where all values are 0."""
    highest = max(values, default=0) or 1
    last = max(1, len(values) - 1)
    return " ".join(
        f"{place / last * 100:.1f},{23 - max(0, value) / highest * 21:.1f}"
        for place, value in enumerate(values)
    )
