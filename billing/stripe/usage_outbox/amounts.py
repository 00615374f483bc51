"""Amounts of money on the meter of adjustments: one unit is a millionth of a dollar.

Adjustments go there, and usage that missed the invoice of its period, at the price it was used
at. Stripe's credit covers them like all metered usage. What is given back is credit at Stripe
(billing.stripe.credit), never a negative amount here.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from billing.budgets.budget import lock_budget
from billing.credit.open_usage import GIVEN_BACK
from billing.models import LedgerEntry, StripeOutbox, StripeOutboxEntry
from billing.pricing import ADJUSTMENT_SKU
from billing.stripe.usage_outbox import claims
from billing.stripe.usage_outbox.billing_period import (
    MeteredSubscription,
    find_metered_subscription,
)
from billing.stripe.usage_outbox.claims import Claim
from billing.stripe.usage_outbox.rows import MeterStream, add_row, stream_for

MICRO_PER_UNIT = 1


class NoSubscription(Exception):
    """Nothing bills this team at present."""


class MeterMissing(NoSubscription):
    """The subscription gets the meter of adjustments soon."""


def append_adjustments(team_id: UUID, service: MeteredSubscription | None, moment: datetime) -> int:
    """Take in the team's new adjustments; returns how many."""
    carried = StripeOutboxEntry.objects.filter(entry=OuterRef("pk"))
    new = LedgerEntry.objects.filter(
        ~Exists(carried), team_id=team_id, kind__in=["refund", "adjustment"]
    ).order_by("pk")
    entries = list(new)
    for entry in entries:
        if is_meter_missing(service, entry.occurred_at):
            continue  # It is being added to the subscription.
        if entry.amount_micro > 0 and not entry.source.startswith(GIVEN_BACK):
            stream = stream_for(team_id, ADJUSTMENT_SKU, service, entry.occurred_at)
            _add_amount(stream, entry.amount_micro, entry.occurred_at, moment, entry)
        StripeOutboxEntry.objects.create(entry=entry)
    return len(entries)


def is_meter_missing(service: MeteredSubscription | None, at: datetime) -> bool:
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
def move_to_adjustments(claim: Claim, moment: datetime) -> StripeOutbox | None:
    """Put the amount of a row that comes too late into the period that is open now.

    No event of the row exists at Stripe. Returns the new row, None where nothing was to charge.
    Raises NoSubscription where no invoice is to come.
    """
    row = claim.row
    lock_budget(row.team_id)
    made = None
    if row.amount_micro > 0:
        service = find_metered_subscription(row.team_id)
        stream = stream_for(row.team_id, ADJUSTMENT_SKU, service, moment)
        if stream.service is None:
            raise MeterMissing if is_meter_missing(service, moment) else NoSubscription
        made = _add_amount(stream, row.amount_micro, moment, moment)
    claims.mark_moved(claim, made.identifier if made else "nothing to charge")
    return made
