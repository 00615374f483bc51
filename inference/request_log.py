"""A deployment's usage of today."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Sum
from django.utils.timezone import now

from billing.models import UsageEvent
from inference.models import Deployment, RequestLog

MAX_RECENT_REQUESTS = 20

_TABLE = RequestLog._meta.db_table


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
    p50, p99 = _latency_percentiles(deployment, midnight)
    return DailyUsage(used["requests"] or 0, used["units"] or 0, used["amount"] or 0, p50, p99)


def _latency_percentiles(
    deployment: Deployment, since: datetime
) -> tuple[float | None, float | None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),"
            " percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms)"
            f" FROM {_TABLE} WHERE deployment_id = %s AND at >= %s AND status = 200",
            [deployment.pk, since],
        )
        p50, p99 = cursor.fetchone() or (None, None)
    return p50, p99
