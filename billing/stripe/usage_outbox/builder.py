"""Writes metered usage into outbox rows for Stripe: whole units, each item once, fractions carried.

Usage is cut by meter, service period and hour, so that every row is stamped in the period that
pays for it and close to when it happened. Where no subscription covers it, the row is `local`:
our ledger alone bills it, and a subscription begun later never does. As we hear of a subscription
after it began, usage waits for two hours before it becomes that.

Amounts of money are reported on the meter of adjustments, whose unit is a millionth of a dollar:
adjustments, and usage that missed the invoice of its period, at the price at which it was used.
Stripe's credit covers them like all metered usage. Refunds become credit at Stripe
(billing.stripe.credit), never a negative amount here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from billing.budgets.budget import lock_budget
from billing.credit.invoice_periods import EPOCH, GIVEN_BACK
from billing.models import (
    LedgerEntry,
    Rate,
    StripeOutbox,
    StripeOutboxEntry,
    StripeOutboxEvent,
    StripeOutboxItem,
)
from billing.pricing import ADJUSTMENT_SKU
from billing.stripe import gateway
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
NEWS_WITHIN = timedelta(hours=2)  # The hourly sweep finds a message that was lost.


class NoSubscription(Exception):
    """The team has no subscription that could bill an amount now."""


class MeterMissing(NoSubscription):
    """The subscription does not have the meter of adjustments yet; it is added later."""


def build(team_id: UUID | None = None) -> int:
    """Write new usage and adjustments of one team, or of all teams, into the outbox; returns how
    many items."""
    items = 0
    for team in teams_with_pending_usage() if team_id is None else [team_id]:
        is_complete = False
        while not is_complete:
            try:
                count, is_complete = _build_batch(team)
            except NoFreeMinute:  # The batch was rolled back; the next build has a free minute.
                break
            items += count
    return items


@transaction.atomic
def _build_batch(team_id: UUID) -> tuple[int, bool]:
    """Write one batch; returns how many items it has, and whether it was the last."""
    lock_budget(team_id)
    service, moment = find_metered_subscription(team_id), now()
    # Until the first payment succeeds or fails for good, it is open who bills the usage.
    if service and service.row.status == "incomplete":
        return 0, True
    if service:
        _fill_in_period_end(service)
    prices = set(Rate.objects.in_force().values_list("stripe_price_id", flat=True))
    pending = load_pending_usage(team_id, lambda at: _is_early(service, at, moment))
    items = [_with_line(item, service, prices) for item in pending]
    for stream, group in _hourly_groups(team_id, items, service):
        _append(stream, group, moment)
    if len(items) >= BATCH_SIZE:
        return len(items), False
    return len(items) + _append_adjustments(team_id, service, moment), True


def _is_early(service: MeteredSubscription | None, at: datetime, moment: datetime) -> bool:
    """Whether a subscription that we have not heard of yet may cover this."""
    end = service.row.ended_at if service else EPOCH
    return gateway.is_enabled() and end is not None and at >= max(end, moment - NEWS_WITHIN)


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
    """The item as the subscription bills it: in units of its meter, or by its amount on the meter
    of adjustments where no line has its price, as the rate changed within the period or is newer
    than the subscription.

    A line whose price is not one of today's (`prices`) is not used any more: its price may change.
    """
    if (
        service is None
        or service.window(item.at) is None
        or (item.price in prices and service.has_price(item.meter, item.price))
    ):
        return item
    return replace(item, meter=ADJUSTMENT_SKU, units=item.amount_micro, unit=MICRO_PER_UNIT)


def _hourly_groups(
    team_id: UUID, items: Iterable[UsageItem], service: MeteredSubscription | None
) -> Iterator[tuple[MeterStream, list[UsageItem]]]:
    """The items grouped by stream and hour, in order of time within each meter."""

    def stream_and_hour(item: UsageItem) -> tuple[MeterStream, datetime]:
        hour = item.at.replace(minute=0, second=0, microsecond=0)
        return stream_for(team_id, item.meter, service, item.at), hour

    by_meter = sorted(items, key=lambda item: (item.meter, item.at))
    for (stream, _), group in groupby(by_meter, key=stream_and_hour):
        yield stream, list(group)


def _append(stream: MeterStream, items: list[UsageItem], moment: datetime) -> None:
    """Write a row with the whole units of these items and of the carried fraction; carry the new
    fraction."""
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
    """Write the team's new adjustments into the outbox; returns how many."""
    carried = StripeOutboxEntry.objects.filter(entry=OuterRef("pk"))
    new = LedgerEntry.objects.filter(
        ~Exists(carried), team_id=team_id, kind__in=["refund", "adjustment"]
    ).order_by("pk")
    taken = 0
    for entry in new:
        if _is_early(service, entry.occurred_at, moment):
            continue
        if entry.amount_micro > 0 and not entry.source.startswith(GIVEN_BACK):
            stream = stream_for(team_id, ADJUSTMENT_SKU, service, entry.occurred_at)
            _add_amount(stream, entry.amount_micro, entry.occurred_at, moment, entry)
        StripeOutboxEntry.objects.create(entry=entry)
        taken += 1
    return taken


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
    """Put the amount of a row that is too late for its period into the current one.

    The row must have no event at Stripe. Raises NoSubscription where there will be no invoice.
    """
    row = claim.row
    lock_budget(row.team_id)
    adjustment = None
    if row.amount_micro > 0:
        service = find_metered_subscription(row.team_id)
        stream = stream_for(row.team_id, ADJUSTMENT_SKU, service, moment)
        if stream.service is None:
            raise NoSubscription
        if not stream.event_name:
            raise MeterMissing
        adjustment = _add_amount(stream, row.amount_micro, moment, moment)
    claims.mark_moved(claim, adjustment.identifier if adjustment else "nothing to charge")
