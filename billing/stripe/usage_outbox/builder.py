"""Turning metered usage into rows for Stripe: whole units, each item once, fractions carried.

Usage is cut by meter, service period and hour, so that every row is stamped in the period that
pays for it and close to when it happened. Where no subscription covers it, the row is `local`:
our ledger alone bills it, and a subscription begun later never does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing.budgets.budget import lock_budget
from billing.models import MeterProgress, StripeOutbox, StripeOutboxEvent, StripeOutboxItem
from billing.pricing import ADJUSTMENT_SKU
from billing.stripe.usage_outbox.amounts import MICRO_PER_UNIT, append_adjustments
from billing.stripe.usage_outbox.billing_period import (
    MeteredSubscription,
    find_metered_subscription,
)
from billing.stripe.usage_outbox.pending_usage import (
    BATCH_SIZE,
    UsageItem,
    load_pending_usage,
    teams_with_pending_usage,
)
from billing.stripe.usage_outbox.rows import MeterStream, NoFreeMinute, add_row, stream_for


def build(team_id: UUID | None = None) -> int:
    """Take new usage and adjustments into the outbox; returns how many.

    Of one team, or of all that have something new. Safe to repeat and to run at the same time.
    """
    teams = teams_with_pending_usage() if team_id is None else [team_id]
    return sum(_build_team(team) for team in teams)


def _build_team(team_id: UUID) -> int:
    taken = 0
    is_complete = False
    while not is_complete:
        try:
            count, is_complete = _build_batch(team_id)
        except NoFreeMinute:  # Nothing was taken in; the next build finds a free minute.
            break
        taken += count
    return taken


@transaction.atomic
def _build_batch(team_id: UUID) -> tuple[int, bool]:
    """One transaction's worth: how many items, and whether that was all."""
    lock_budget(team_id)
    service, moment = find_metered_subscription(team_id), now()
    if service and not service.is_payment_decided:  # Usage waits until it is known who bills it.
        return 0, True
    if service:
        _fill_in_period_end(service)
    items = [_with_line(item, service) for item in load_pending_usage(team_id)]
    for stream, group in _hourly_groups(team_id, items, service):
        _append(stream, group, moment)
    if len(items) >= BATCH_SIZE:
        return len(items), False
    return len(items) + append_adjustments(team_id, service, moment), True


def _fill_in_period_end(service: MeteredSubscription) -> None:
    """Set the period's end on rows that were written before the period was known."""
    rows = StripeOutbox.objects.undelivered().filter(
        subscription=service.subscription, period_end=None
    )
    for row in rows:
        window = service.window(row.happened_at)
        if window and window.end:
            StripeOutbox.objects.filter(pk=row.pk).update(period_end=window.end)


def _with_line(item: UsageItem, service: MeteredSubscription | None) -> UsageItem:
    """Usage as a line of the subscription bills it: in units, or by its amount where no line has
    its price, because the rate changed within the period or is newer than the subscription."""
    if (
        service is None
        or service.window(item.at) is None
        or ADJUSTMENT_SKU not in service.event_names
        or service.has_price(item.meter, item.price)
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
    _record_progress(progress, items, row)


def _record_progress(
    progress: MeterProgress, items: list[UsageItem], row: StripeOutbox | None
) -> None:
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
