"""Usage that no final invoice holds yet, and how much of it credit does not cover.

Stripe takes credit off when it finalizes an invoice, and then off the whole period, whenever the
credit was granted. So that our statement says what Stripe will charge, a grant here also covers
what was used in the open period before it. Without Stripe the open period is the calendar month.

Credit that an invoice did not need, because what it is for missed that invoice, stays at Stripe for
the next one. So it is carried into the next period here as well.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import connection

from billing.credit.invoice_periods import (
    GIVEN_BACK,
    NEVER_BILLED,
    InvoicePeriod,
    InvoicePeriods,
)
from billing.models import Budget, CreditBurn, CreditGrant, LedgerEntry
from billing.models.ledger import LedgerEntryQuerySet

# Oldest first, each up to what is left of its amount.
_SETTLE_SQL = f"""
INSERT INTO {CreditBurn._meta.db_table} (team_id, grant_id, entry_id, amount_micro, occurred_at)
SELECT %(team)s, %(grant)s, id, least(uncovered, %(micro)s - before),
    greatest(occurred_at, %(month)s)
FROM (
    SELECT id, occurred_at, uncovered, sum(uncovered) OVER (ORDER BY id) - uncovered AS before
    FROM (
        SELECT entry.id, entry.occurred_at, entry.amount_micro - coalesce((
            SELECT sum(burn.amount_micro) FROM {CreditBurn._meta.db_table} burn
            WHERE burn.entry_id = entry.id), 0) AS uncovered
        FROM {LedgerEntry._meta.db_table} entry
        WHERE team_id = %(team)s AND amount_micro > 0
          AND (occurred_at >= %(since)s OR source = ANY(%(late)s))
          AND kind IN ('compute', 'inference', 'adjustment')
          AND NOT starts_with(source, %(given_back)s)  -- No charge: it undoes what is negative.
    ) AS charges WHERE uncovered > 0
) AS running WHERE before < %(micro)s
"""


def open_due_micro(budget: Budget) -> int:
    """What the open period costs beyond credit; negative when more was given back than is due."""
    periods = InvoicePeriods(budget.pk)
    period = _open_period_of(budget, periods)
    carried = _carried(periods, period.since) if periods.find_open() else 0
    return _due(period.usage_of(budget.pk)) - carried


def unbilled_credit_micro(team_id: UUID) -> int:
    """Credit that the ledger has used up, or owed money that it gave back, and that Stripe still
    holds: it takes that off the next invoice."""
    periods = InvoicePeriods(team_id)
    period = periods.find_open()
    return 0 if period is None else _credit_in(periods, period)


def covered_micro(team_id: UUID, start: datetime, end: datetime, closed_at: datetime) -> int:
    """What of the charges of [start, end) credit covers, or was given back before the invoice was
    closed: what Stripe should have taken off."""
    periods = InvoicePeriods(team_id)
    return _credit_in(periods, periods.make(start, end, closed_at))


def _credit_in(periods: InvoicePeriods, period: InvoicePeriod) -> int:
    usage = period.usage_of(periods.team_id)
    given = usage.filter(NEVER_BILLED).total_micro()
    return _covered(usage) - given + _carried(periods, period.since)


def _carried(periods: InvoicePeriods, since: datetime) -> int:
    """Credit that the invoices before did not need."""
    carried = 0
    for period in periods.closed_before(since):
        carried = max(0, carried - _due(period.usage_of(periods.team_id)))
    return carried


def settle_open_usage(budget: Budget, grant: CreditGrant) -> None:
    """Cover what the open period owes with this grant. The budget is locked."""
    micro = min(grant.left_micro, open_due_micro(budget))
    if micro <= 0:
        return
    period = _open_period_of(budget, InvoicePeriods(budget.pk))
    with connection.cursor() as cursor:
        cursor.execute(
            _SETTLE_SQL,
            {
                "team": budget.pk,
                "grant": grant.pk,
                "micro": micro,
                "month": budget.period_start,
                "since": period.since,
                "late": list(period.late),
                "given_back": GIVEN_BACK,
            },
        )
    grant.left_micro = grant.granted_micro - grant.burns.all().total_micro()
    grant.save(update_fields=["left_micro"])


def _open_period_of(budget: Budget, periods: InvoicePeriods) -> InvoicePeriod:
    """With what was used after the subscription ended, which our ledger alone bills."""
    start = budget.period_start
    period = periods.find_open()
    if period is None:
        return InvoicePeriod(start, start)
    return replace(period, until=None, ended_at=None)


def _due(usage: LedgerEntryQuerySet) -> int:
    return usage.total_micro() - _covered(usage)


def _covered(usage: LedgerEntryQuerySet) -> int:
    """By the dates of what was used: a month may have turned before credit covered it."""
    return CreditBurn.objects.filter(entry__in=usage).total_micro()
