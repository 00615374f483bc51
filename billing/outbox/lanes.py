"""Writing outbox rows: whole units, a number and a minute of their own.

Everything here runs in the transaction of a build, under the lock of the team's budget.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max

from billing.models import LedgerEntry, Reconciliation, Reported, StripeOutbox
from billing.outbox.service import Service, Window

Kind, Status = StripeOutbox.Kind, StripeOutbox.Status
MINUTE = 60
LONGEST_METER = 32  # Characters of a meter's name inside an identifier.
REACH = 2 * 24 * 60  # How far from its usage a row may be stamped, in minutes.


class NoMinuteYet(Exception):
    """Every minute of the service period so far is taken; a minute from now there is another."""


@dataclass(frozen=True)
class Lane:
    """Where the usage of one meter goes during one window; without a service, nowhere."""

    team_id: UUID
    meter: str
    service: Service | None = None
    window: Window | None = None

    @property
    def subscription(self) -> str:
        return self.service.subscription if self.service else ""

    def reported(self, unit: int) -> Reported:
        found, _ = Reported.objects.get_or_create(
            team_id=self.team_id,
            meter=self.meter,
            subscription=self.subscription,
            defaults={"unit": unit},
        )
        return found


def lane_for(team_id: UUID, meter: str, service: Service | None, at: datetime) -> Lane:
    """The subscription's lane while it covers this meter and moment, else the local one."""
    window = service.window(at) if service else None
    if service is None or window is None or meter not in service.event_names:
        return Lane(team_id, meter)
    return Lane(team_id, meter, service, window)


def add_row(
    lane: Lane,
    value: int,
    amount_micro: int,
    *,
    near: datetime,
    now: datetime,
    entry: LedgerEntry | None = None,
) -> StripeOutbox:
    """A row of usage, or a correction if the value is negative. Raises NoMinuteYet."""
    return _create(
        lane,
        kind=Kind.USAGE if value > 0 else Kind.CORRECTION,
        minute=_free_minute(lane, near, now),
        value=value,
        amount_micro=amount_micro,
        entry=entry,
    )


def add_money(lane: Lane, amount_micro: int, entry: LedgerEntry) -> StripeOutbox:
    """An amount for the next invoice: what no event can change any more."""
    return _create(
        lane, kind=Kind.MONEY, via=StripeOutbox.Via.ITEM, amount_micro=amount_micro, entry=entry
    )


def add_settlement(lane: Lane, drift: Reconciliation, amount_micro: int) -> StripeOutbox:
    """An amount for the next invoice that makes good what an earlier one got wrong."""
    return _create(
        lane, kind=Kind.MONEY, via=StripeOutbox.Via.ITEM, amount_micro=amount_micro, settles=drift
    )


def _create(lane: Lane, **facts: object) -> StripeOutbox:
    rows = StripeOutbox.objects.filter(team_id=lane.team_id, meter=lane.meter)
    seq = (rows.aggregate(last=Max("seq"))["last"] or 0) + 1
    return StripeOutbox.objects.create(
        team_id=lane.team_id,
        meter=lane.meter,
        subscription=lane.subscription,
        customer=lane.service.customer if lane.service else "",
        event_name=lane.service.event_names.get(lane.meter, "") if lane.service else "",
        period_end=lane.window.end if lane.window else None,
        status=Status.PENDING if lane.service else Status.LOCAL,
        seq=seq,
        identifier=_identifier(lane, seq),
        **facts,
    )


def _identifier(lane: Lane, seq: int) -> str:
    """Unique at Stripe and at most 90 characters; a very long meter is told by its digest."""
    meter = lane.meter
    if len(meter) > LONGEST_METER:
        meter = hashlib.sha256(meter.encode()).hexdigest()[:LONGEST_METER]
    return f"{settings.STRIPE_ENVIRONMENT[:12]}:{meter}:{lane.team_id.hex}:{seq}"


def _free_minute(lane: Lane, near: datetime, now: datetime) -> int:
    """The free minute of the window nearest to a moment, earlier ones first."""
    first, last = _bounds(lane, now)
    wanted = min(max(_minute(near), first), last)
    first, last = max(first, wanted - REACH), min(last, wanted + REACH)
    taken = set(
        StripeOutbox.objects.filter(
            team_id=lane.team_id, meter=lane.meter, minute__range=(first, last)
        ).values_list("minute", flat=True)
    )
    for distance in range(last - first + 1):
        for minute in (wanted - distance, wanted + distance):
            if first <= minute <= last and minute not in taken:
                return minute
    raise NoMinuteYet


def _bounds(lane: Lane, now: datetime) -> tuple[int, int]:
    """The first and last whole minutes that begin inside the window and have begun by now."""
    if lane.window is None:
        return 0, _minute(now)
    first = -(-int(lane.window.start.timestamp()) // MINUTE)
    if lane.window.end is None:
        return first, _minute(now)
    return first, min(_minute(lane.window.end - timedelta(seconds=1)), _minute(now))


def _minute(moment: datetime) -> int:
    return int(moment.timestamp()) // MINUTE
