"""Whether the daily sums equal the ledger, found every night; and adding a day up anew.

Triggers keep the two equal. A difference means that somebody changed a row past them.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db import connection, transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing import budget as budgets
from billing.alerts import alert
from billing.models import CreditDay, DayRebuild, OperatorAlert, UsageDay
from web.templatetags.ui import exact_money

ALERT = "day-sums:"
# Either side's rows with the other's part as zero: groups that do not cancel out differ. Each
# statement sees one moment, and triggers write both sides in one, so work under way is no matter.
_DIFFERENT = f"""
WITH usage AS (
    SELECT team_id, day, sum(ours) AS ours, sum(theirs) AS theirs
    FROM (
        SELECT team_id, day, source, run_id, sku, token_prefix, device_ms, units, requests,
            amount_micro AS ours, 0 AS theirs FROM billing_usageday_due
        UNION ALL
        SELECT team_id, day, source, run_id, sku, token_prefix, -device_ms, -units, -requests,
            0, amount_micro FROM {UsageDay._meta.db_table}
    ) AS both_sides
    GROUP BY team_id, day, source, run_id, sku, token_prefix
    HAVING sum(ours) <> sum(theirs) OR sum(device_ms) <> 0 OR sum(units) <> 0
        OR sum(requests) <> 0
), credit AS (
    SELECT team_id, day, sum(ours) AS ours, sum(theirs) AS theirs
    FROM (
        SELECT team_id, day, grant_id, used_micro AS ours, 0 AS theirs FROM billing_creditday_due
        UNION ALL
        SELECT team_id, day, grant_id, 0, used_micro FROM {CreditDay._meta.db_table}
    ) AS both_sides
    GROUP BY team_id, day, grant_id HAVING sum(ours) <> sum(theirs)
), either AS (
    SELECT 'usage' AS book, usage.* FROM usage
    UNION ALL SELECT 'credit', credit.* FROM credit
)
SELECT team_id, day, book, count(*), sum(ours)::bigint, sum(theirs)::bigint
FROM either
WHERE %(team)s::uuid IS NULL OR team_id = %(team)s
GROUP BY team_id, day, book ORDER BY team_id, day, book
"""


@dataclass(frozen=True)
class Difference:
    """One team's day whose sums are not what they should be; both amounts are of those rows."""

    team: Team
    day: date
    book: str  # "usage" or "credit".
    rows: int
    ledger_micro: int
    sums_micro: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.team} ({self.team.slug}), {self.day}: wrong daily sums of {self.book} "
            f"({self.rows}). They say {exact_money(self.sums_micro)}, the ledger "
            f"{exact_money(self.ledger_micro)}, a difference of "
            f"{exact_money(self.sums_micro - self.ledger_micro)}."
        )

    @property
    def key(self) -> str:
        return f"{ALERT}{self.team.pk}:{self.day}:{self.book}"


def differences(team: Team | None = None) -> list[Difference]:
    """Of all teams, or of one."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENT, {"team": team.pk if team else None})
        rows: list[tuple[UUID, date, str, int, int, int]] = cursor.fetchall()
    teams = Team.objects.in_bulk([row[0] for row in rows])
    return [
        Difference(teams[team_id], day, book, count, ours, theirs)
        for team_id, day, book, count, ours, theirs in rows
    ]


def check() -> list[Difference]:
    """Raise an alert for every difference, and settle those of earlier ones that are gone."""
    found = differences()
    for one in found:
        alert(
            one.key,
            f"{one.sentence} Find out who changed rows by hand, then rebuild the sums on the "
            "team's page under Billing, Budgets, or with manage.py check_day_sums --rebuild.",
        )
    _settle(ALERT, found)
    return found


@transaction.atomic
def rebuild(team: Team, reason: str, *, by: User | None) -> list[Difference]:
    """Add up anew each day of the team that differs; returns what differed."""
    budgets.lock(team.pk)  # Nothing is booked meanwhile.
    found = differences(team)
    for day in sorted({one.day for one in found}):
        DayRebuild.objects.create(team=team, day=day, reason=reason.strip()[:255], by=by)
        audit.record(team, by, "day_sums.rebuilt", str(day), reason=reason.strip())
    _settle(f"{ALERT}{team.pk}:", differences(team))
    return found


def _settle(keys: str, remaining: list[Difference]) -> None:
    """The alerts that begin so and tell of nothing that remains are done with."""
    over = OperatorAlert.objects.filter(key__startswith=keys, settled_at=None)
    over.exclude(key__in=[one.key for one in remaining]).update(settled_at=now())
