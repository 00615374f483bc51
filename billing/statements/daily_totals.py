"""A month's daily sums, added up by cause, by day and by API token in one reading."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Team
from billing.models import UsageDay
from billing.months import Month
from billing.pricing import SKU_NAMES, UNIT_SKUS, format_quantity
from billing.statements.sources import CostSource

# In SQL, because the ORM knows no grouping sets and would read the rows three times. Units and
# requests are of tokens; seconds and characters of speech, and answers, are no tokens and stand in
# `used`.
_TOTALS_SQL = f"""
SELECT grouping(sku), grouping(source), grouping(day), source, day, token_prefix, sku,
    coalesce(sum(units), 0)::bigint, coalesce(sum(requests), 0)::bigint,
    sum(amount_micro)::bigint, sum(device_ms)::bigint,
    coalesce(sum(units) FILTER (WHERE sku <> ALL(%(no_tokens)s)), 0)::bigint,
    coalesce(sum(requests) FILTER (WHERE sku <> ALL(%(no_tokens)s)), 0)::bigint,
    coalesce(sum(amount_micro) FILTER (WHERE units > 0 OR requests > 0), 0)::bigint
FROM {UsageDay._meta.db_table}
WHERE team_id = %(team)s AND day >= %(start)s AND day < %(end)s
GROUP BY GROUPING SETS ((source), (day), (token_prefix), (source, sku))
HAVING grouping(sku) = 1 OR sku = ANY(%(no_tokens)s)
"""


@dataclass(frozen=True)
class TokenUsage:
    """What one API token asked of deployments; the prefix is "" for the playground."""

    prefix: str
    units: int
    requests: int
    amount_micro: int


@dataclass(frozen=True)
class UnitUsage:
    """Answers that one assistant gave, seconds that it heard, or characters that it spoke; part of
    its cost."""

    by: CostSource
    sku: str
    units: int
    requests: int
    amount_micro: int

    @property
    def what(self) -> str:
        return SKU_NAMES[self.sku]

    @property
    def quantity(self) -> str:
        return format_quantity(self.sku, self.units)


@dataclass(frozen=True)
class DailyTotals:
    """What was charged, without refunds and adjustments."""

    sources: dict[str, CostSource] = field(default_factory=dict)
    by_day: dict[date, int] = field(default_factory=dict)  # Micro-USD.
    tokens: list[TokenUsage] = field(default_factory=list)
    used: list[UnitUsage] = field(default_factory=list)


def load_daily_totals(team: Team, month: Month) -> DailyTotals:
    params: dict[str, UUID | date | list[str]] = {
        "team": team.pk,
        "no_tokens": list(UNIT_SKUS),
        "start": month.start.date(),
        "end": month.end.date(),
    }
    totals, used = DailyTotals(), list[tuple[Any, ...]]()
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS_SQL, params)
        for row in cursor.fetchall():
            all_skus, not_source, not_day, source, day, prefix, *of_units = row[:9]
            micro, device_ms, units, requests, asked_micro = row[9:]
            if not all_skus:
                used.append((source, *of_units, micro))
            elif not not_source:
                totals.sources[source] = CostSource(
                    micro, source=source, device_ms=device_ms, units=units, requests=requests
                )
            elif not not_day:
                totals.by_day[day] = micro
            elif units or requests or asked_micro:
                totals.tokens.append(TokenUsage(prefix, units, requests, asked_micro))
    totals.used.extend(UnitUsage(totals.sources[name], *rest) for name, *rest in sorted(used))
    totals.tokens.sort(key=lambda use: (-use.amount_micro, use.prefix))
    return totals
