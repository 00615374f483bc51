"""Comparing our figures with Stripe's: by hour while usage is fresh, by line when invoices close.

A difference is a Reconciliation row and an alert. Money is never corrected here: people decide,
and the same comparison then settles the row.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing import budget as budgets
from billing import stripe_gateway
from billing.alerts import alert
from billing.models import Rate, Reconciliation, StripeOutbox
from billing.money import MICRO_PER_CENT, whole_cents
from billing.outbox.lanes import Lane, add_settlement
from billing.outbox.missing import missing_facts
from billing.outbox.sending import SETTLES_IN, meter_id
from billing.outbox.subscribed import service_of
from billing.stripe_errors import StripeFailure
from billing.stripe_facts import InvoiceFacts, LineFacts
from web.errors import UserError

log = logging.getLogger(__name__)
Scope, State = Reconciliation.Scope, Reconciliation.State
Status, Via = StripeOutbox.Status, StripeOutbox.Via
HOUR = timedelta(hours=1)
MINUTES = 60
LOOKS_BACK = timedelta(days=3)  # What is older was compared before, and again with its invoice.
TOLERATED_CENTS = 1  # Stripe rounds each line once, and so do we.


class CannotCarry(UserError):
    code, status = "cannot_carry", 409


@dataclass(frozen=True)
class Figures:
    """Ours and Stripe's for one place: seconds or tokens, or cents."""

    team: Team
    meter: str
    scope: Reconciliation.Scope
    starts_at: datetime
    ends_at: datetime
    ours: int
    theirs: int
    invoice: str = ""

    @property
    def agree(self) -> bool:
        tolerated = TOLERATED_CENTS if self.scope == Scope.AMOUNT else 0
        return abs(self.ours - self.theirs) <= tolerated


def reconcile(team: Team, invoice_id: str = "") -> int:
    """Compare the last days' usage, and an invoice if one is named; returns how many differ.

    Raises a StripeFailure when Stripe does not answer.
    """
    places = list(_missing(team))
    if stripe_gateway.is_on():
        until = _hour(now() - SETTLES_IN)
        places += _hours(team, _hour(now() - LOOKS_BACK), until)
        if invoice_id:
            places += _lines(team, stripe_gateway.invoice(invoice_id))
    return _record_all(places)


def reconcile_all() -> int:
    """Compare every team that told Stripe something lately; returns how many places differ."""
    recent = StripeOutbox.objects.filter(created_at__gte=now() - LOOKS_BACK)
    teams = Team.objects.filter(pk__in=recent.values("team"))
    return sum(_reconcile_or_wait(team) for team in teams.order_by("pk"))


def _reconcile_or_wait(team: Team) -> int:
    try:
        return reconcile(team)
    except StripeFailure as problem:  # Tomorrow's comparison covers the same days.
        log.warning("%s was not reconciled: %s", team, problem)
        return 0


def check_again(row: Reconciliation) -> int:
    """Repeat the comparison that found this row; returns how many places differ now."""
    if row.scope == Scope.MISSING:
        return _record_all(_missing(row.team)) or _settle(row)
    if row.scope == Scope.HOUR:
        return _record_all(_hours(row.team, row.starts_at, row.ends_at)) or _settle(row)
    return _record_all(_lines(row.team, stripe_gateway.invoice(row.invoice)))


@transaction.atomic
def carry(row: Reconciliation, *, by: User) -> StripeOutbox:
    """Put the cents by which a line differs on the team's next invoice, once.

    Our ledger stays: it holds what is owed. Raises CannotCarry where that is not possible.
    """
    budgets.lock(row.team_id)
    row.refresh_from_db()
    service = service_of(row.team_id)
    if row.scope != Scope.AMOUNT or row.state != State.OPEN:
        raise CannotCarry(f"{row} is not an open difference in the cents of an invoice line.")
    if service is None or not service.bills(now()):
        raise CannotCarry(f"{row.team} has no subscription that would make a next invoice.")
    lane = Lane(row.team_id, row.meter, service, service.window(now()))
    made = add_settlement(lane, row, row.drift * MICRO_PER_CENT)
    Reconciliation.objects.filter(pk=row.pk).update(state=State.CARRIED)
    audit.record(row.team, by, "reconciliation.carried", str(row), cents=row.drift)
    return made


def rows_behind(row: Reconciliation) -> QuerySet[StripeOutbox]:
    """The outbox rows whose events make up the differing figure."""
    span = range_of_minutes(row.starts_at, row.ends_at)
    return StripeOutbox.objects.filter(
        ~Q(status=Status.LOCAL), span, team=row.team, meter=row.meter, via=Via.EVENT
    ).order_by("seq")


def range_of_minutes(start: datetime, end: datetime) -> Q:
    """The rows stamped in [start, end)."""
    first, last = (int(moment.timestamp()) / 60 for moment in (start, end))
    return Q(minute__gte=first, minute__lt=last)


# --- Hours --------------------------------------------------------------------------------------


def _hours(team: Team, start: datetime, end: datetime) -> Iterator[Figures]:
    """Every hour of [start, end) in which either side counted something."""
    by_customer = _ours_by_hour(team, start, end)
    for (customer, meter, event_name), ours in by_customer.items():
        theirs = _theirs_by_hour(customer, event_name, start, end)
        for hour in sorted(ours.keys() | theirs.keys()):
            units = ours.get(hour, 0)
            if units is not None:
                yield Figures(
                    team, meter, Scope.HOUR, hour, hour + HOUR, units, theirs.get(hour, 0)
                )


def _ours_by_hour(
    team: Team, start: datetime, end: datetime
) -> dict[tuple[str, str, str], dict[datetime, int | None]]:
    """What Stripe should have, by customer, meter and hour; None while something is under way."""
    rows = StripeOutbox.objects.filter(
        ~Q(status=Status.LOCAL), range_of_minutes(start, end), team=team, via=Via.EVENT
    )
    found: dict[tuple[str, str, str], dict[datetime, int | None]] = defaultdict(dict)
    for row in rows:
        hour = datetime.fromtimestamp((row.minute or 0) // MINUTES * 3600, UTC)
        hours = found[row.customer, row.meter, row.event_name]
        before = hours.get(hour, 0)
        is_open = before is None or row.status in StripeOutbox.UNDELIVERED
        hours[hour] = None if is_open else (before or 0) + row.value
    return found


def _theirs_by_hour(
    customer: str, event_name: str, start: datetime, end: datetime
) -> dict[datetime, int]:
    params = {
        "customer": customer,
        "start_time": int(start.timestamp()),
        "end_time": int(end.timestamp()),
        "value_grouping_window": "hour",
    }
    parts = stripe_gateway.meter_summaries(meter_id(event_name), params)
    return {part.start: int(part.value) for part in parts if part.value}


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


# --- Invoices -----------------------------------------------------------------------------------


def _lines(team: Team, invoice: InvoiceFacts) -> Iterator[Figures]:
    """Quantity and cents of every metered line, and of meters that should have had one."""
    skus = dict(
        Rate.objects.filter(
            stripe_price_id__in=[line.price for line in invoice.lines if line.price]
        ).values_list("stripe_price_id", "sku")
    )
    metered = [line for line in invoice.lines if line.price in skus]
    for line in metered:
        yield from _line(team, skus[line.price], invoice, line)
    rows = _rows_of(team, invoice.subscription).filter(period_end=invoice.period_end)
    unbilled = rows.exclude(meter__in=skus.values()).values_list("meter").order_by("meter")
    for meter, units in unbilled.annotate(units=Sum("value")):
        yield Figures(
            team, meter, Scope.QUANTITY, invoice.period_start, invoice.period_end, units, 0,
            invoice.id,
        )  # fmt: skip


def _line(team: Team, meter: str, invoice: InvoiceFacts, line: LineFacts) -> Iterator[Figures]:
    rows = _rows_of(team, invoice.subscription).filter(
        range_of_minutes(line.period_start, line.period_end), meter=meter
    )
    ours = rows.aggregate(units=Sum("value"), micro=Sum("amount_micro"))
    cents = whole_cents(ours["micro"] or 0)
    pairs = [
        (Scope.QUANTITY, ours["units"] or 0, line.quantity or 0),
        (Scope.AMOUNT, cents, line.amount_cents),
    ]
    for scope, mine, theirs in pairs:
        yield Figures(
            team, meter, scope, line.period_start, line.period_end, max(0, mine), theirs, invoice.id
        )


def _rows_of(team: Team, subscription: str) -> QuerySet[StripeOutbox]:
    """What this subscription's invoices should count: delivered or not, but for invoice items."""
    return StripeOutbox.objects.filter(
        team=team, subscription=subscription, via=Via.EVENT, minute__isnull=False
    )


# --- Our own books ------------------------------------------------------------------------------


def _missing(team: Team) -> Iterator[Figures]:
    """Usage that the builder has passed over; the next build takes it in."""
    for part in missing_facts(team.pk):
        yield Figures(
            team, part.meter, Scope.MISSING, part.first_at, part.last_at, part.units, 0
        )  # fmt: skip


# --- Keeping the result -------------------------------------------------------------------------


def _record_all(places: Iterable[Figures]) -> int:
    return sum(_record(figures) for figures in places)


def _record(figures: Figures) -> bool:
    """Keep a difference, or settle one that is gone. Whether the figures differ."""
    place: dict[str, Any] = {
        "team": figures.team,
        "meter": figures.meter,
        "scope": figures.scope,
        "starts_at": figures.starts_at,
        "invoice": figures.invoice,
    }
    known = Reconciliation.objects.filter(**place)
    if figures.ours == figures.theirs and not known.exists():
        return False
    if known.filter(state=State.CARRIED, ours=figures.ours, theirs=figures.theirs).exists():
        return False
    state = State.SETTLED if figures.agree else State.OPEN
    row, _ = Reconciliation.objects.update_or_create(
        **place,
        defaults={
            "ends_at": figures.ends_at,
            "ours": figures.ours,
            "theirs": figures.theirs,
            "state": state,
            "checked_at": now(),
        },
    )
    if state == State.OPEN:
        alert(f"drift:{row.pk}", _sentence(row))
    return state == State.OPEN


def _settle(row: Reconciliation) -> int:
    """Nothing differs there any more, not even by nothing being there."""
    Reconciliation.objects.filter(pk=row.pk).update(
        state=State.SETTLED, theirs=row.ours, checked_at=now()
    )
    return 0


def _sentence(row: Reconciliation) -> str:
    unit = "cents" if row.scope == Scope.AMOUNT else "units"
    place = f"invoice {row.invoice}" if row.invoice else f"{row.starts_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"{row.team}, {row.meter}, {place}: we count {row.ours} {unit}, Stripe {row.theirs}. "
        "See Billing, Reconciliations in the admin."
    )
