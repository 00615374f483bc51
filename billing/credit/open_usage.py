"""Usage that no final invoice holds yet, and how much of it credit does not cover.

Stripe takes credit off when it finalizes an invoice, and then off the whole period, whenever the
credit was granted. So that our statement says what Stripe will charge, a grant here also covers
what was used in the open period before it. Without Stripe the open period is the calendar month.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from billing.models import (
    Budget,
    CreditBurn,
    CreditGrant,
    LedgerEntry,
    StripeInvoice,
    StripeOutbox,
    StripeOutboxEvent,
    StripeOutboxItem,
    Subscription,
)
from billing.models.ledger import LedgerEntryQuerySet
from billing.pricing import ADJUSTMENT_SKU

GIVEN_BACK = "given-back:"  # Begins the source of an entry that Stripe never bills.
NEVER_BILLED = (
    Q(kind="refund") | Q(kind="adjustment", amount_micro__lt=0) | Q(source__startswith=GIVEN_BACK)
)
# Before all usage: the period's end of what no last invoice held.
EPOCH = datetime.fromtimestamp(0, UTC)
FINAL_INVOICE_WITHIN = timedelta(days=3)  # Of a subscription's end.
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


@dataclass(frozen=True)
class OpenPeriod:
    """Usage since `since` is open; credit moved before `credit_since` is on an invoice already."""

    since: datetime
    credit_since: datetime
    until: datetime | None = None
    late: tuple[str, ...] = ()  # Sources of older charges that missed their invoice.
    credit_until: datetime | None = None


def find_open_period(team_id: UUID) -> OpenPeriod | None:
    """What the team's next invoice at Stripe will be about; None when there is none to come."""
    row = Subscription.objects.filter(team_id=team_id).exclude(status="incomplete_expired").first()
    if row is None:
        return None
    closed = (
        StripeInvoice.objects.filter(
            team_id=team_id, billing_reason="subscription_cycle", created_at__gte=row.created_at
        )
        .exclude(status="draft")
        .order_by("-period_end")
        .first()
    )
    since = closed.period_end if closed else row.created_at
    if row.ended_at and (since >= row.ended_at or now() - row.ended_at > FINAL_INVOICE_WITHIN):
        return None
    finalized_at = closed.finalized_at if closed else None
    late = _late_sources(team_id, since)
    return OpenPeriod(since, max(since, finalized_at or since), row.ended_at, late)


def _late_sources(team_id: UUID, since: datetime) -> tuple[str, ...]:
    """What an outbox row holds that missed its invoice and waits for, or is in, the open one."""
    rows = StripeOutbox.objects.filter(team=team_id)
    waiting = rows.undelivered().filter(period_end__lte=since)
    in_open = rows.filter(meter=ADJUSTMENT_SKU, minute__gte=int(since.timestamp()) // 60)
    late, targets = list(waiting), [*waiting, *in_open]
    while targets:  # What was moved may miss the next invoice, too.
        names = [row.identifier for row in targets if row.meter == ADJUSTMENT_SKU]
        targets = list(rows.filter(reference__in=names, status="moved"))
        late += targets
    segments = StripeOutboxItem.objects.filter(outbox__in=late).values_list("pk", flat=True)
    events = StripeOutboxEvent.objects.filter(outbox__in=late).values_list("pk", flat=True)
    entries = Q(pk__in=[row.entry_id for row in late if row.entry_id])
    released = [row.happened_at for row in late if row.period_end == EPOCH]
    if released:  # What was given back meanwhile was on no invoice either.
        closed = StripeInvoice.objects.filter(
            team=team_id, billing_reason="subscription_cycle", period_end__lte=min(released)
        ).aggregate(end=Max(Coalesce("finalized_at", "period_end"), default=EPOCH))["end"]
        entries |= NEVER_BILLED & Q(occurred_at__gte=closed, occurred_at__lt=since)
    return (
        *(f"segment:{pk}" for pk in segments),
        *(f"event:{pk}" for pk in events),
        *LedgerEntry.objects.filter(entries, team=team_id).values_list("source", flat=True),
    )


def open_due_micro(budget: Budget) -> int:
    """What the open period costs beyond credit; negative when more was given back than is due."""
    usage = _usage_of(budget.pk, _open_period_of(budget))
    return usage.total_micro() - _covered(usage)


def unbilled_credit_micro(team_id: UUID) -> int:
    """Credit that the ledger has used up, or owed money that it gave back, and that Stripe still
    holds: it takes that off the next invoice."""
    period = find_open_period(team_id)
    return 0 if period is None else _credit_in(team_id, period)


def covered_micro(team_id: UUID, start: datetime, end: datetime, closed_at: datetime) -> int:
    """What of the charges of [start, end) credit covers, or was given back before the invoice was
    closed: what Stripe should have taken off."""
    late = _late_sources(team_id, start)
    return _credit_in(team_id, OpenPeriod(start, start, end, late, closed_at))


def _credit_in(team_id: UUID, period: OpenPeriod) -> int:
    usage = _usage_of(team_id, period)
    return _covered(usage) - usage.filter(NEVER_BILLED).total_micro()


def settle_open_usage(budget: Budget, grant: CreditGrant) -> None:
    """Cover what the open period owes with this grant. The budget is locked."""
    micro = min(grant.left_micro, open_due_micro(budget))
    if micro <= 0:
        return
    period = _open_period_of(budget)
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


def _open_period_of(budget: Budget) -> OpenPeriod:
    start = budget.period_start
    return find_open_period(budget.pk) or OpenPeriod(start, start)


def _usage_of(team_id: UUID, period: OpenPeriod) -> LedgerEntryQuerySet:
    """Charges since the period began, and what was given back since its last invoice was made."""
    charges = ~NEVER_BILLED & Q(occurred_at__gte=period.since)
    if period.until:
        charges &= Q(occurred_at__lt=period.until)
    given = NEVER_BILLED & Q(occurred_at__gte=period.credit_since)
    if period.credit_until:
        given &= Q(occurred_at__lt=period.credit_until)
    late = Q(source__in=period.late)
    return LedgerEntry.objects.filter(charges | given | late, team=team_id).of_usage()


def _covered(usage: LedgerEntryQuerySet) -> int:
    """By the dates of what was used: a month may have turned before credit covered it."""
    return CreditBurn.objects.filter(entry__in=usage).total_micro()
