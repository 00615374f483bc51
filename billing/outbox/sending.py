"""Delivering outbox rows so that each counts once at Stripe, whatever is lost on the way.

Within a day of the first try the event's identifier makes repeats harmless. After that it no
longer does: a row whose outcome is unknown is then looked for in Stripe's own count of the row's
minute, which is why every row has a minute of its own. What comes too late for the invoice of its
period becomes a line of the next one.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.timezone import now

from billing import stripe_gateway
from billing.alerts import alert
from billing.models import Meter, StripeOutbox
from billing.money import whole_cents
from billing.outbox import claiming
from billing.outbox.claiming import Claim
from billing.outbox.service import GRACE
from billing.stripe_errors import (
    StripeBroken,
    StripeBusy,
    StripeFailure,
    StripeRefused,
    StripeUnreachable,
)

logger = logging.getLogger(__name__)
Via = StripeOutbox.Via

ASK_AFTER = timedelta(hours=20)  # Stripe remembers identifiers for at least 24 hours.
SETTLES_IN = timedelta(hours=1)  # Stripe's counts may lag; younger silence proves nothing.
OLDEST = timedelta(days=34)  # Stripe takes events of the last 35 days.
EXISTS = "event already exists with identifier"
KEY_IN_USE = "idempotency_key_in_use"  # Another call with the same key is still running.


def flush(team_id: UUID | None = None) -> int:
    """Deliver what is due; returns how many rows were delivered. Does nothing without a key.

    Stops early when Stripe cannot be reached: the next flush goes on.
    """
    if not stripe_gateway.is_on():
        return 0
    count = 0
    while held := claiming.claim(team_id):
        try:
            count += _deliver(held)
        except StripeBroken as problem:
            logger.warning("Outbox row %s: %s", held.row, problem)
        except StripeFailure as problem:
            logger.warning("The outbox waits at row %s: %s", held.row, problem)
            break
    return count


def _deliver(held: Claim) -> bool:
    """One call about one claimed row; whether the row is delivered now. Raises StripeFailure."""
    row = held.row
    if row.via == Via.ITEM:
        return _charge(held)
    is_late = is_too_late(row)
    if held.was_unknown and (is_late or row.must_ask or _is_forgotten(held)):
        return _look_for(held)
    if is_late:
        return _charge(claiming.turn_into_item(held))
    return _send(held)


def is_too_late(row: StripeOutbox) -> bool:
    """Whether an event would be refused, or miss the invoice of its period."""
    moment = now()
    is_closed = row.period_end is not None and moment >= row.period_end + GRACE
    return is_closed or (row.happened_at is not None and moment - row.happened_at > OLDEST)


def _is_forgotten(held: Claim) -> bool:
    """Whether Stripe may no longer recognise the identifier of the first try."""
    return held.first_try_at is not None and now() - held.first_try_at > ASK_AFTER


def _send(held: Claim) -> bool:
    row = held.row
    params = {
        "event_name": row.event_name,
        "payload": {"stripe_customer_id": row.customer, "value": str(row.value)},
        "identifier": row.wire_identifier,
        "timestamp": (row.minute or 0) * 60,
    }
    try:
        with _outcome(held):
            stripe_gateway.send_meter_event(params, key=row.idempotency_key)
    except StripeRefused as refusal:
        if EXISTS not in refusal.reason.lower():
            return _bury(held, refusal)
    claiming.delivered(held)
    return True


def _charge(held: Claim) -> bool:
    """Put the row's amount on the customer's next invoice, once."""
    row = held.row
    if not row.amount_micro:
        claiming.delivered(held, "nothing to charge")
        return True
    try:
        with _outcome(held):
            item = _found_item(held) or stripe_gateway.create_invoice_item(
                item_params(row), key=row.idempotency_key
            )
    except StripeRefused as refusal:
        return _bury(held, refusal)
    claiming.delivered(held, item)
    return True


def _found_item(held: Claim) -> str:
    """The item of an earlier try: keys are forgotten after a day, metadata never."""
    row = held.row
    if not held.was_unknown:
        return ""
    return stripe_gateway.find_invoice_item(row.customer, {"outbox": row.wire_identifier})


def item_params(row: StripeOutbox) -> dict[str, Any]:
    """The invoice item that a row becomes when no event can carry it."""
    return {
        "customer": row.customer,
        "currency": "usd",
        "amount": whole_cents(row.amount_micro),
        "description": _description(row),
        "metadata": {"outbox": row.wire_identifier},
    }


def _description(row: StripeOutbox) -> str:
    if row.entry is not None:
        return f"{row.entry.get_kind_display().capitalize()}: {row.entry.note}"[:200]
    if row.settles is not None:
        return f"Correction of {row.meter} on invoice {row.settles.invoice}"
    return f"{row.meter}: {row.value} used by {row.happened_at:%Y-%m-%d %H:%M} UTC, billed late"


def _look_for(held: Claim) -> bool:
    """Decide an unknown outcome by Stripe's own count of the row's minute."""
    settled_at = (held.last_try_at or now()) + SETTLES_IN
    if now() < settled_at:
        claiming.not_yet(held, held.row.last_error, at=settled_at)
        return False
    try:
        counted = counted_in_minute(held.row)
    except StripeRefused as refusal:
        return _bury(held, refusal)
    except StripeFailure as problem:
        claiming.not_yet(held, str(problem))
        raise
    if counted:
        claiming.delivered(held)
        return True
    claiming.absent(held)
    return False


def counted_in_minute(row: StripeOutbox) -> int:
    """What Stripe counted for the row's customer in the minute that is the row's alone."""
    start = (row.minute or 0) * 60
    params = {"customer": row.customer, "start_time": start, "end_time": start + 60}
    parts = stripe_gateway.meter_summaries(meter_id(row.event_name), params)
    return int(sum(part.value for part in parts))


def meter_id(event_name: str) -> str:
    """Stripe's id of the meter that takes these events."""
    return Meter.objects.values_list("meter_id", flat=True).get(event_name=event_name)


def _bury(held: Claim, refusal: StripeRefused) -> bool:
    claiming.refused(held, refusal.reason)
    alert(
        f"outbox:{held.row.identifier}",
        f"Stripe refused usage of {held.row.team} (outbox row {held.row}): {refusal.reason} It is "
        "not billed until somebody repairs the cause and resends the row.",
    )
    return False


@contextmanager
def _outcome(held: Claim) -> Iterator[None]:
    """Write down what a call that failed may have done. Refusals are the caller's to judge."""
    try:
        yield
    except StripeRefused as refusal:
        if refusal.stripe_code != KEY_IN_USE:
            raise
        claiming.perhaps(held, refusal.reason, new_key=False)
        raise StripeBusy from refusal
    except StripeUnreachable as problem:
        claiming.perhaps(held, str(problem), new_key=False)
        raise
    except StripeBroken as problem:
        claiming.perhaps(held, str(problem), new_key=True)
        raise
    except StripeFailure as problem:
        claiming.not_yet(held, str(problem))
        raise
