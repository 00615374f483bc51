"""How long the sampled request log is kept, and what it says about a deployment's day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Sum
from django.utils.timezone import now

from billing.models import UsageEvent
from inference.models import Deployment, RequestLog

KEPT_DAYS = 30
KEPT_PER_DEPLOYMENT = 10_000
SHOWN = 50

_BEYOND = """
DELETE FROM inference_requestlog WHERE request_id IN (
    SELECT request_id FROM (
        SELECT request_id, row_number() OVER (PARTITION BY deployment_id ORDER BY at DESC) AS place
        FROM inference_requestlog
    ) AS ranked WHERE place > %s
)
"""


@dataclass(frozen=True)
class Day:
    """A deployment's usage since midnight UTC."""

    requests: int
    tokens: int
    amount_micro: int
    p50_ms: float | None  # Of the sampled requests.
    p99_ms: float | None


def trim() -> None:
    """Delete what is older than KEPT_DAYS, and beyond KEPT_PER_DEPLOYMENT the oldest."""
    RequestLog.objects.filter(at__lt=now() - timedelta(days=KEPT_DAYS)).delete()
    with connection.cursor() as cursor:
        cursor.execute(_BEYOND, [KEPT_PER_DEPLOYMENT])


def today(deployment: Deployment) -> Day:
    """Exact counts from billing; latencies from the sample."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    used = UsageEvent.objects.filter(
        team_id=deployment.team_id, source=deployment.source, occurred_at__gte=midnight
    ).aggregate(requests=Sum("requests"), units=Sum("units"), amount=Sum("amount_micro"))
    p50, p99 = _latencies(deployment, midnight)
    return Day(used["requests"] or 0, used["units"] or 0, used["amount"] or 0, p50, p99)


def latest(deployment: Deployment) -> list[RequestLog]:
    return list(RequestLog.objects.filter(deployment=deployment).order_by("-at")[:SHOWN])


def _latencies(deployment: Deployment, since: datetime) -> tuple[float | None, float | None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),"
            " percentile_cont(0.99) WITHIN GROUP (ORDER BY latency_ms)"
            " FROM inference_requestlog WHERE deployment_id = %s AND at >= %s AND status = 200",
            [deployment.pk, since],
        )
        p50, p99 = cursor.fetchone() or (None, None)
    return p50, p99
