"""A month's daily sums, added up by cause, by day and by API token in one reading."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from django.db import connection

from accounts.models import Team
from billing.models import UsageDay
from billing.months import Month
from billing.pricing import VOICE_SKUS

# In SQL, because the ORM knows no grouping sets and would read the rows three times. Units and
# requests are of tokens; seconds and characters of speech are no tokens and stand in `voice`.
_TOTALS_SQL = f"""
SELECT grouping(sku), grouping(source), grouping(day), source, day, token_prefix, sku,
    coalesce(sum(units), 0)::bigint, coalesce(sum(requests), 0)::bigint,
    sum(amount_micro)::bigint, sum(device_ms)::bigint,
    coalesce(sum(units) FILTER (WHERE sku <> ALL(%(voice)s)), 0)::bigint,
    coalesce(sum(requests) FILTER (WHERE sku <> ALL(%(voice)s)), 0)::bigint,
    coalesce(sum(amount_micro) FILTER (WHERE units > 0 OR requests > 0), 0)::bigint
FROM {UsageDay._meta.db_table}
WHERE team_id = %(team)s AND day >= %(start)s AND day < %(end)s
GROUP BY GROUPING SETS ((source), (day), (token_prefix), (source, sku))
HAVING grouping(sku) = 1 OR sku = ANY(%(voice)s)
"""


@dataclass(frozen=True)
class UsageTotals:
    amount_micro: int
    device_ms: int
    units: int
    requests: int
    inference_micro: int  # The part of the amount that is for asking models.


@dataclass(frozen=True)
class VoiceTotals:
    """Of one assistant: seconds heard or characters spoken, by the SKU."""

    source: str
    sku: str
    units: int
    requests: int
    amount_micro: int


@dataclass(frozen=True)
class DailyTotals:
    by_source: dict[str, UsageTotals] = field(default_factory=dict)
    by_day: dict[date, UsageTotals] = field(default_factory=dict)
    by_token: dict[str, UsageTotals] = field(default_factory=dict)
    voice: list[VoiceTotals] = field(default_factory=list)


def load_daily_totals(team: Team, month: Month) -> DailyTotals:
    """What was charged, without refunds and adjustments."""
    params: dict[str, UUID | date | list[str]] = {
        "team": team.pk,
        "voice": list(VOICE_SKUS),
        "start": month.start.date(),
        "end": month.end.date(),
    }
    totals = DailyTotals()
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS_SQL, params)
        for row in cursor.fetchall():
            all_skus, not_source, not_day, source, day, token, sku, units, requests, *sums = row
            if not all_skus:
                totals.voice.append(VoiceTotals(source, sku, units, requests, sums[0]))
            elif not not_source:
                totals.by_source[source] = UsageTotals(*sums)
            elif not not_day:
                totals.by_day[day] = UsageTotals(*sums)
            else:
                totals.by_token[token] = UsageTotals(*sums)
    return totals
