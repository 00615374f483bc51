"""Turning metered usage into rows for Stripe: whole units, each item once, fractions carried.

Usage is cut by meter, service period and hour, so that every row is stamped in the period that
pays for it and close to when it happened. Where no subscription covers it, the row is `local`:
our ledger alone bills it, and a subscription begun later never does.

Amounts of money go on the meter of adjustments, whose unit is a millionth of a dollar: adjustments,
and usage that missed the invoice of its period, at the price it was used at. Stripe's credit covers
them like all metered usage. What is given back is credit at Stripe (billing.stripe.credit), never a
negative amount here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from billing.budgets.budget import lock_budget
from billing.credit.invoice_periods import GIVEN_BACK
from billing.models import (
    LedgerEntry,
    Rate,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
)
from billing.pricing import ADJUSTMENT_SKU
from billing.stripe.usage_outbox import claims
from billing.stripe.usage_outbox.claims import Claim
from billing.stripe.usage_outbox.pending_usage import (
    BATCH_SIZE,
    UsageItem,
    load_pending_usage,
    teams_with_pending_usage,
)
from billing.stripe.usage_outbox.rows import (
    MeteredSubscription,
    MeterStream,
    NoFreeMinute,
    add_row,
    find_metered_subscription,
    stream_for,
)

MICRO_PER_UNIT = 1


class NoSubscription(Exception):
    """Nothing bills this team at present."""


class MeterMissing(NoSubscription):
    """The subscription gets the meter of adjustments soon."""


def build(team_id: UUID | None = None) -> int:
    """Take new usage and adjustments of one team, or of all, into the outbox; returns how many."""
    taken = 0
    for team in teams_with_pending_usage() if team_id is None else [team_id]:
        is_complete = False
        while not is_complete:
            try:
                count, is_complete = _build_batch(team)
            except NoFreeMinute:  # Nothing was taken in; the next build finds a free minute.
                break
            taken += count
    return taken


@transaction.atomic
def _build_batch(team_id: UUID) -> tuple[int, bool]:
    """One transaction's worth: how many items, and whether that was all."""
    lock_budget(team_id)
    service, moment = find_metered_subscription(team_id), now()
    # Until the first payment came or is given up, it is not known who bills the usage.
    if service and service.row.status == "incomplete":
        return 0, True
    if service:
        _fill_in_period_end(service)
    prices = set(Rate.objects.in_force().values_list("stripe_price_id", flat=True))
    items = [_with_line(item, service, prices) for item in load_pending_usage(team_id)]
    for stream, group in _hourly_groups(team_id, items, service):
        _append(stream, group, moment)
    if len(items) >= BATCH_SIZE:
        return len(items), False
    return len(items) + _append_adjustments(team_id, service, moment), True


def _fill_in_period_end(service: MeteredSubscription) -> None:
    """Set the period's end on rows that were written before the period was known."""
    rows = StripeOutbox.objects.undelivered().filter(
        subscription=service.row.stripe_id, period_end=None
    )
    for row in rows:
        window = service.window(row.happened_at)
        if window and window.end:
            StripeOutbox.objects.filter(pk=row.pk).update(period_end=window.end)


def _with_line(item: UsageItem, service: MeteredSubscription | None, prices: set[str]) -> UsageItem:
    """Usage as a line of the subscription bills it: in units, or by its amount where no line has
    its price, because the rate changed within the period or is newer than the subscription.

    A line whose price is none of today's (`prices`) counts nothing more: it may get another one.
    """
    if (
        service is None
        or service.window(item.at) is None
        or ADJUSTMENT_SKU not in service.event_names
        or (item.price in prices and service.has_price(item.meter, item.price))
    ):
        return item
    return replace(item, meter=ADJUSTMENT_SKU, units=item.amount_micro, unit=MICRO_PER_UNIT)


def _hourly_groups(
    team_id: UUID, items: Iterable[UsageItem], service: MeteredSubscription | None
) -> Iterator[tuple[MeterStream, list[UsageItem]]]:
    """The items by stream and hour, in order of time within each meter."""

    def stream_and_hour(item: UsageItem) -> tuple[MeterStream, datetime]:
        hour = item.at.replace(minute=0, second=0, microsecond=0)
        return stream_for(team_id, item.meter, service, item.at), hour

    by_meter = sorted(items, key=lambda item: (item.meter, item.at))
    for (stream, _), group in groupby(by_meter, key=stream_and_hour):
        yield stream, list(group)


def _append(stream: MeterStream, items: list[UsageItem], moment: datetime) -> None:
    """Report the whole units that these items complete, and carry the rest."""
    progress = stream.get_progress(items[0].unit)
    value, amount = progress.add(
        sum(item.units for item in items), sum(item.amount_micro for item in items)
    )
    row = add_row(stream, value, amount, near=items[-1].at, now=moment) if value else None
    segments = [item.pk for item in items if item.is_segment]
    events = [item.pk for item in items if not item.is_segment]
    StripeOutboxItem.objects.bulk_create(
        [StripeOutboxItem(segment_id=pk, outbox=row) for pk in segments]
    )
    StripeOutboxEvent.objects.bulk_create(
        [StripeOutboxEvent(event_id=pk, outbox=row) for pk in events]
    )
    progress.upto_segment = max([progress.upto_segment, *segments])
    progress.upto_event = max([progress.upto_event, *events])
    progress.save()


def _append_adjustments(
    team_id: UUID, service: MeteredSubscription | None, moment: datetime
) -> int:
    """Take in the team's new adjustments; returns how many."""
    carried = StripeOutboxEntry.objects.filter(entry=OuterRef("pk"))
    new = LedgerEntry.objects.filter(
        ~Exists(carried), team_id=team_id, kind__in=["refund", "adjustment"]
    ).order_by("pk")
    for entry in new:
        if _is_meter_missing(service, entry.occurred_at):
            continue  # It is being added to the subscription.
        if entry.amount_micro > 0 and not entry.source.startswith(GIVEN_BACK):
            stream = stream_for(team_id, ADJUSTMENT_SKU, service, entry.occurred_at)
            _add_amount(stream, entry.amount_micro, entry.occurred_at, moment, entry)
        StripeOutboxEntry.objects.create(entry=entry)
    return len(new)


def _is_meter_missing(service: MeteredSubscription | None, at: datetime) -> bool:
    """Whether a subscription covers this moment, but was made before there were adjustments."""
    return bool(service and service.window(at) and ADJUSTMENT_SKU not in service.event_names)


def _add_amount(
    stream: MeterStream,
    amount_micro: int,
    near: datetime,
    moment: datetime,
    entry: LedgerEntry | None = None,
) -> StripeOutbox:
    progress = stream.get_progress(MICRO_PER_UNIT)
    value, amount = progress.add(amount_micro, amount_micro)
    row = add_row(stream, value, amount, near=near, now=moment, entry=entry)
    progress.save()
    return row


@transaction.atomic
def move_to_adjustments(claim: Claim, moment: datetime) -> None:
    """Put the amount of a row that comes too late into the period that is open now.

    No event of the row exists at Stripe. Raises NoSubscription where no invoice is to come.
    """
    row = claim.row
    lock_budget(row.team_id)
    made = None
    if row.amount_micro > 0:
        service = find_metered_subscription(row.team_id)
        stream = stream_for(row.team_id, ADJUSTMENT_SKU, service, moment)
        if stream.service is None:
            raise MeterMissing if _is_meter_missing(service, moment) else NoSubscription
        made = _add_amount(stream, row.amount_micro, moment, moment)
    claims.mark_moved(claim, made.identifier if made else "nothing to charge")
