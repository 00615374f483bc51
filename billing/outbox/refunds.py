"""Carrying what the ledger gave back to Stripe: by a negative event while the invoice is open.

A refund of a run gives back an exact stretch of the run's milliseconds, taken from its end. Each
part of it goes where those milliseconds went: nowhere if only our ledger billed them, a negative
event in their own service period while that is open, and a line of the next invoice after that.
Adjustments, which are not of metered time, always become such a line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef

from billing.models import LedgerEntry, MeteredRun, StripeOutboxEntry, StripeOutboxItem
from billing.money import MS_PER_SECOND, NANO_PER_MICRO, amount_micro
from billing.outbox.facts import MS
from billing.outbox.lanes import Lane, add_money, add_row, lane_for
from billing.outbox.service import Service, Window

Kind = LedgerEntry.Kind
OF_RUN = "refund:run:"
NO_METER = "ledger"  # The meter of amounts that are not of metered time.


@dataclass(frozen=True)
class Part:
    """Milliseconds [start, stop) of a run that went into one lane, and a moment among them."""

    lane: Lane
    start: int
    stop: int
    at: datetime


def carry_entries(team_id: UUID, service: Service | None, now: datetime) -> int:
    """Take in the team's new refunds and adjustments; returns how many. Usage must be in."""
    carried = StripeOutboxEntry.objects.filter(entry=OuterRef("pk"))
    fresh = LedgerEntry.objects.filter(
        ~Exists(carried), team_id=team_id, kind__in=[Kind.REFUND, Kind.ADJUSTMENT]
    ).order_by("pk")
    entries = list(fresh)
    for entry in entries:
        StripeOutboxEntry.objects.create(entry=entry)
        if entry.source.startswith(OF_RUN):
            _give_back_time(entry, service, now)
        elif entry.kind == Kind.ADJUSTMENT:
            _carry_amount(entry, service)
    return len(entries)


def _carry_amount(entry: LedgerEntry, service: Service | None) -> None:
    window = service.window(entry.occurred_at) if service else None
    if service and window and entry.amount_micro:
        add_money(Lane(entry.team_id, NO_METER, service, window), entry.amount_micro, entry)


def _give_back_time(entry: LedgerEntry, service: Service | None, now: datetime) -> None:
    run_id = entry.source.removeprefix(OF_RUN).partition(":")[0]
    run = MeteredRun.objects.select_related("rate").get(pk=run_id)
    start, stop = given_back(run, entry)
    for part in _parts(run, start, stop, service):
        amount = _price(run, part.start) - _price(run, part.stop)
        if part.lane.service and part.lane.window and not part.lane.window.is_open(now):
            add_money(part.lane, amount, entry)
        else:
            _take_off(run, part, amount, entry, now)


def _take_off(run: MeteredRun, part: Part, amount: int, entry: LedgerEntry, now: datetime) -> None:
    lane_total = part.lane.reported(MS)
    value, micro = lane_total.add(-(part.stop - part.start) * run.devices, amount)
    if value:
        near = max(part.at, entry.occurred_at)
        add_row(part.lane, value, micro, near=near, now=now, entry=entry)
    lane_total.save()


def given_back(run: MeteredRun, entry: LedgerEntry) -> tuple[int, int]:
    """The milliseconds [start, stop) of the run that this refund gives back.

    Refunds take from the end: each begins where the one before it stopped.
    """
    earlier = LedgerEntry.objects.filter(source__startswith=f"{OF_RUN}{run.pk}", pk__lt=entry.pk)
    left = _price(run, run.billed_ms) + earlier.total_micro()
    return _reach(run, left + entry.amount_micro), _reach(run, left)


def _reach(run: MeteredRun, micro: int) -> int:
    """How many of the run's milliseconds cost this much, preferring those we know exactly."""
    for known in (run.billed_ms, run.kept_ms, 0):
        if _price(run, known) == micro:
            return known
    nano = run.rate.nano_per_unit * run.devices
    return -(-micro * MS_PER_SECOND * NANO_PER_MICRO // nano)


def _parts(run: MeteredRun, start: int, stop: int, service: Service | None) -> Iterator[Part]:
    """The stretch, cut where its milliseconds went to different lanes. Newest first."""
    held: Part | None = None
    items = StripeOutboxItem.objects.filter(
        segment__run=run, segment__span__overlap=(start, stop)
    ).select_related("segment", "outbox")
    for item in items.order_by("-segment__span"):
        lane, segment = _lane_of(item, run, service), item.segment
        low, high = max(segment.span.lower, start), min(segment.span.upper, stop)
        if held and held.lane == lane:
            held = Part(lane, low, held.stop, held.at)
            continue
        if held:
            yield held
        held = Part(lane, low, high, segment.recorded_at)
    if held:
        yield held


def _lane_of(item: StripeOutboxItem, run: MeteredRun, service: Service | None) -> Lane:
    """Where the segment really went, which may be a subscription that is over."""
    row, meter, at = item.outbox, run.rate.sku, item.segment.recorded_at
    if row is None or (service and row.subscription == service.subscription):
        return lane_for(run.team_id, meter, service, at)
    if not row.subscription:
        return Lane(run.team_id, meter)
    ended = row.period_end or row.created_at
    names = {meter: row.event_name}
    former = Service(row.subscription, row.customer, ended, ended, ended, ended, names)
    return Lane(run.team_id, meter, former, Window(ended, ended))


def _price(run: MeteredRun, run_ms: int) -> int:
    return amount_micro(run_ms * run.devices, run.rate.nano_per_unit)
