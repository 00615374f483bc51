"""What each of a team's invoices at Stripe is about: which charges, and which movements of credit.

A charge that misses the invoice of its period goes on a later one (billing.stripe.usage_outbox).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from uuid import UUID

from django.db.models import Q
from django.utils.timezone import now

from billing.models import (
    LedgerEntry,
    StripeInvoice,
    StripeOutbox,
    StripeOutboxEvent,
    StripeOutboxItem,
    Subscription,
)
from billing.models.ledger import LedgerEntryQuerySet

GIVEN_BACK = "given-back:"  # Begins the source of an entry that Stripe never bills.
FORGIVEN = "forgiven:"  # Likewise of what an invoice did not ask for: it is about no other one.
NEVER_BILLED = (
    Q(kind="refund") | Q(kind="adjustment", amount_micro__lt=0) | Q(source__startswith=GIVEN_BACK)
)
# Before all usage: the period's end of what no last invoice held.
EPOCH = datetime.fromtimestamp(0, UTC)
FINAL_INVOICE_WITHIN = timedelta(days=3)  # Of a subscription's end.


@dataclass(frozen=True)
class InvoicePeriod:
    """Charges of [since, until) and what was given back in [credit_since, credit_until).

    Without an end while it is open. `late` are sources of other charges that are on its invoice,
    `missed` of charges that are not. `ended_at`: of the subscription whose last period it is.
    """

    since: datetime
    credit_since: datetime
    until: datetime | None = None
    credit_until: datetime | None = None
    late: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    ended_at: datetime | None = None

    def usage_of(self, team_id: UUID) -> LedgerEntryQuerySet:
        charges = ~NEVER_BILLED & Q(occurred_at__gte=self.since) & ~Q(source__in=self.missed)
        given = NEVER_BILLED & Q(occurred_at__gte=self.credit_since)
        if self.until:
            charges &= Q(occurred_at__lt=self.until)
        if self.credit_until:
            given &= Q(occurred_at__lt=self.credit_until)
        if self.ended_at:  # What was used since then our ledger alone bills, and gives back.
            since = LedgerEntry.objects.filter(team=team_id, occurred_at__gte=self.ended_at)
            alone = since.exclude(kind="refund").exclude(run=None).values("run")
            given &= ~Q(kind="refund", occurred_at__gte=self.ended_at, run__in=alone)
        late = Q(source__in=self.late)
        entries = LedgerEntry.objects.filter(charges | given | late, team=team_id).of_usage()
        return entries.exclude(source__startswith=FORGIVEN)


class InvoicePeriods:
    """A team's, as its outbox and the invoices that we have heard of say. Read once."""

    def __init__(self, team_id: UUID) -> None:
        self.team_id = team_id
        rows = Subscription.objects.filter(team_id=team_id)
        self.subscription = rows.exclude(status="incomplete_expired").first()
        invoices = StripeInvoice.objects.filter(team=team_id, billing_reason="subscription_cycle")
        self.invoices = list(invoices.order_by("period_end"))
        self.closed = [each for each in self.invoices if each.status != "draft"]

    @cached_property
    def open_since(self) -> datetime:
        """Where the period begins that the next invoice is about."""
        begin = self.subscription.created_at if self.subscription else EPOCH
        own = [each.period_end for each in self.closed if each.created_at >= begin]
        return max([begin, *own])

    def find_open(self) -> InvoicePeriod | None:
        """What the next invoice will be about; None when there is none to come."""
        row = self.subscription
        if row is None:
            return None
        ended_at = row.ended_at
        if ended_at and (self.open_since >= ended_at or now() - ended_at > FINAL_INVOICE_WITHIN):
            return None
        return self.make(self.open_since, ended_at)

    def make(
        self, since: datetime, until: datetime | None, closed_at: datetime | None = None
    ) -> InvoicePeriod:
        """The period from `since`; `closed_at` is when its invoice became final."""
        before = [each.finalized_at for each in self.closed if each.period_end <= since]
        credit_since = max([since, *(moment for moment in before if moment)])

        def is_within(moment: datetime | None) -> bool:
            if moment is None or closed_at is None:
                return closed_at is None and (moment is None or moment >= since)
            return since <= moment and (until is None or moment < until)

        late, missed = list[StripeOutbox](), list[StripeOutbox]()
        for row, billed_at in self._strays:
            if is_within(billed_at) and not is_within(row.happened_at):
                late.append(row)
            elif is_within(row.happened_at) and not is_within(billed_at):
                missed.append(row)
        sources = (*self._sources_of(late), *self._given_back_meanwhile(late, since))
        ended_at = self.subscription.ended_at if self.subscription else None
        return InvoicePeriod(
            since,
            credit_since,
            until,
            closed_at,
            sources,
            tuple(self._sources_of(missed)),
            ended_at if until and ended_at and until >= ended_at else None,
        )

    def closed_before(self, moment: datetime) -> Iterator[InvoicePeriod]:
        """The periods up to a moment, from the first on that a charge has missed; oldest first."""
        first = min((row.happened_at for row, _ in self._strays), default=moment)
        for each in self.closed:
            if first < each.period_end <= moment:
                closed_at = each.finalized_at or each.period_end
                yield self.make(each.period_start, each.period_end, closed_at)

    @cached_property
    def _strays(self) -> list[tuple[StripeOutbox, datetime | None]]:
        """Rows that missed the invoice of their period, and when they are billed instead; None for
        those that still wait for it."""
        rows = StripeOutbox.objects.filter(team=self.team_id)
        moved = list(rows.filter(status=StripeOutbox.Status.MOVED))
        waiting = list(rows.undelivered().filter(period_end__lte=self.open_since))
        targets = rows.filter(identifier__in=[row.reference for row in moved]) if moved else ()
        by_identifier = {row.identifier: row for row in targets}

        def billed_at(row: StripeOutbox | None) -> datetime | None:
            while row and row.status == StripeOutbox.Status.MOVED:  # It may miss the next, too.
                row = by_identifier.get(row.reference)
            return None if row is None or row in waiting else row.happened_at

        return [(row, billed_at(row)) for row in (*moved, *waiting)]

    def _sources_of(self, rows: Iterable[StripeOutbox]) -> list[str]:
        """The ledger's entries of what these rows hold."""
        rows = list(rows)
        if not rows:
            return []
        segments = StripeOutboxItem.objects.filter(outbox__in=rows).values_list("pk", flat=True)
        events = StripeOutboxEvent.objects.filter(outbox__in=rows).values_list("pk", flat=True)
        entries = LedgerEntry.objects.filter(pk__in=[row.entry_id for row in rows if row.entry_id])
        return [
            *(f"segment:{pk}" for pk in segments),
            *(f"event:{pk}" for pk in events),
            *entries.values_list("source", flat=True),
        ]

    def _given_back_meanwhile(self, rows: list[StripeOutbox], since: datetime) -> list[str]:
        """What was given back between the last invoice of an earlier subscription and this period,
        for which it left charges."""
        released = [row.happened_at for row in rows if row.period_end == EPOCH]
        if not released:
            return []
        before = [each for each in self.invoices if each.period_end <= min(released)]
        last = max((each.finalized_at or each.period_end for each in before), default=EPOCH)
        given = LedgerEntry.objects.filter(
            NEVER_BILLED, team=self.team_id, occurred_at__gte=last, occurred_at__lt=since
        ).exclude(source__startswith=FORGIVEN)
        return list(given.values_list("source", flat=True))
