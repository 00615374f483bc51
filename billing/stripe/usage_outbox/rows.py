"""Finds the subscription that bills usage of a moment, and writes outbox rows for it. Each row has
whole units, its own sequence number and its own minute.

Rows are written in the transaction of a build, under the lock of the team's budget.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max

from billing.credit.invoice_periods import EPOCH
from billing.models import LedgerEntry, Meter, MeterProgress, Rate, StripeOutbox, Subscription

Status = StripeOutbox.Status
SECONDS_PER_MINUTE = 60
MAX_METER_LENGTH = 32  # Characters of a meter's name inside an identifier.
MAX_MINUTES_AWAY = 2 * 24 * 60  # How far a row's minute may be from its usage.
# Stripe finalizes an invoice an hour after its period ends; our rows must be there earlier.
REPORTING_GRACE = timedelta(minutes=50)


class NoFreeMinute(Exception):
    """Every minute of the open service period is taken so far; soon there is another."""


@dataclass(frozen=True)
class BillingWindow:
    """A part of a service period, [start, end); `end` is None while it is not known."""

    start: datetime
    end: datetime | None


@dataclass(frozen=True)
class MeteredSubscription:
    """A subscription as it was last fetched, and the meters of its items."""

    row: Subscription
    event_names: dict[str, str]  # SKU → event name at Stripe.

    def window(self, moment: datetime) -> BillingWindow | None:
        """The stretch that holds this moment; None when the subscription does not cover it."""
        row, end = self.row, self.row.ended_at
        if moment < row.created_at or (end and moment >= end):
            return None
        if moment < row.period_start:
            return BillingWindow(row.created_at, row.period_start)
        if moment < row.period_end:
            return BillingWindow(row.period_start, min(row.period_end, end or row.period_end))
        return BillingWindow(row.period_end, end)  # Renewed, but not fetched since.

    def has_price(self, meter: str, price: str) -> bool:
        """Whether its invoices bill this meter at this price."""
        return meter in self.event_names and price in self.row.metered_items


def find_metered_subscription(team_id: UUID) -> MeteredSubscription | None:
    """The team's subscription, in force or ended; None for a team that never had one."""
    row = Subscription.objects.filter(team_id=team_id).first()
    if row is None or row.status == "incomplete_expired":  # The first payment never came.
        return None
    skus = Rate.objects.filter(stripe_price_id__in=list(row.metered_items)).values("sku")
    meters = Meter.objects.filter(sku__in=skus)
    return MeteredSubscription(row, dict(meters.values_list("sku", "event_name")))


@dataclass(frozen=True)
class MeterStream:
    """The subscription and window that usage of a meter is reported to; without a service, usage is
    not reported and only billed by our ledger."""

    team_id: UUID
    meter: str
    service: MeteredSubscription | None = None
    window: BillingWindow | None = None

    @property
    def subscription(self) -> str:
        return self.service.row.stripe_id if self.service else ""

    @property
    def event_name(self) -> str:
        """ "" where the service has no line for the meter."""
        return self.service.event_names.get(self.meter, "") if self.service else ""

    def get_progress(self, unit: int) -> MeterProgress:
        progress, _ = MeterProgress.objects.get_or_create(
            team_id=self.team_id,
            meter=self.meter,
            subscription=self.subscription,
            defaults={"unit": unit},
        )
        return progress


def stream_for(
    team_id: UUID, meter: str, service: MeteredSubscription | None, at: datetime
) -> MeterStream:
    """The subscription's stream while that covers this moment, else the local one."""
    window = service.window(at) if service else None
    if window is None:
        return MeterStream(team_id, meter)
    return MeterStream(team_id, meter, service, window)


def add_row(
    stream: MeterStream,
    value: int,
    amount_micro: int,
    *,
    near: datetime,
    now: datetime,
    entry: LedgerEntry | None = None,
) -> StripeOutbox:
    """A row of usage. Raises NoFreeMinute."""
    minute, period_end = _place(stream, near, now)
    rows = StripeOutbox.objects.filter(team_id=stream.team_id, meter=stream.meter)
    sequence = (rows.aggregate(last=Max("sequence"))["last"] or 0) + 1
    return StripeOutbox.objects.create(
        team_id=stream.team_id,
        meter=stream.meter,
        subscription=stream.subscription,
        customer=stream.service.row.customer_id if stream.service else "",
        event_name=stream.event_name,
        period_end=period_end,
        status=Status.PENDING if stream.service else Status.LOCAL,
        sequence=sequence,
        identifier=_identifier(stream, sequence),
        minute=minute,
        value=value,
        amount_micro=amount_micro,
        entry=entry,
    )


def _identifier(stream: MeterStream, sequence: int) -> str:
    """An identifier that is unique at Stripe and has at most 90 characters; a long name of a meter
    is replaced by its digest."""
    meter = stream.meter
    if len(meter) > MAX_METER_LENGTH:
        meter = hashlib.sha256(meter.encode()).hexdigest()[:MAX_METER_LENGTH]
    return f"{settings.STRIPE_ENVIRONMENT[:12]}:{meter}:{stream.team_id.hex}:{sequence}"


def _place(stream: MeterStream, near: datetime, now: datetime) -> tuple[int, datetime | None]:
    """The row's minute, in its window, and the end of its period.

    No event can be where a window is over and full, or has no line for the meter. Such a row
    belongs to no period (EPOCH): its amount goes with a later row.
    """
    # The whole minutes that begin inside the window and have begun by now.
    window, first, last = stream.window, 0, _to_minute(now)
    if window is not None:
        first = -(-int(window.start.timestamp()) // SECONDS_PER_MINUTE)
        if window.end is not None:
            last = min(_to_minute(window.end - timedelta(seconds=1)), last)
    minute = _free_minute(stream, _to_minute(near), first, last)
    if minute is not None:
        end = window.end if window else None
        return minute, end if stream.event_name or window is None else EPOCH
    if window is None or window.end is None or window.end > now:
        raise NoFreeMinute
    minute = _free_minute(stream, first, 0, first - 2)  # Certainly before the window.
    if minute is None:
        raise NoFreeMinute
    return minute, EPOCH


def _free_minute(stream: MeterStream, near: int, first: int, last: int) -> int | None:
    """The free minute from first to last that is nearest, earlier ones before later ones."""
    nearest = min(max(near, first), last)
    first, last = max(first, nearest - MAX_MINUTES_AWAY), min(last, nearest + MAX_MINUTES_AWAY)
    used_minutes = set(
        StripeOutbox.objects.filter(
            team_id=stream.team_id, meter=stream.meter, minute__range=(first, last)
        ).values_list("minute", flat=True)
    )
    for distance in range(last - first + 1):
        for minute in (nearest - distance, nearest + distance):
            if first <= minute <= last and minute not in used_minutes:
                return minute
    return None


def _to_minute(moment: datetime) -> int:
    return int(moment.timestamp()) // SECONDS_PER_MINUTE
