"""Delivers outbox rows so that each is counted once at Stripe, even if calls or answers are lost.

Within a day of the first try, Stripe ignores repeats by the event's identifier. After that, a row
with an unknown outcome is looked for in Stripe's count of the row's minute, which is why every row
has its own minute. A row that is too late for the invoice of its period is moved to the next one.
"""

import logging
from datetime import timedelta
from uuid import UUID

from django.utils.timezone import now

from billing.models import Meter, StripeOutbox
from billing.stripe import gateway
from billing.stripe.errors import (
    StripeFailure,
    StripeRateLimited,
    StripeRequestRejected,
    StripeServerError,
    StripeUnreachable,
)
from billing.stripe.operator_alerts import raise_alert, settle_alert
from billing.stripe.usage_outbox import claims
from billing.stripe.usage_outbox.builder import MeterMissing, NoSubscription, move_to_adjustments
from billing.stripe.usage_outbox.claims import Claim
from billing.stripe.usage_outbox.rows import REPORTING_GRACE, NoFreeMinute
from web.templatetags.ui import exact_money

logger = logging.getLogger(__name__)
IDENTIFIER_VALID_FOR = timedelta(hours=20)  # Stripe remembers identifiers for at least 24 hours.
MINUTE = timedelta(minutes=1)
METER_LAG = timedelta(hours=1)  # Stripe's counts may lag by this long.
MAX_EVENT_AGE = timedelta(days=34)  # Stripe accepts events of the last 35 days.
DUPLICATE_EVENT_TEXT = "event already exists with identifier"
KEY_IN_USE = "idempotency_key_in_use"  # Another call with the same key is still running.
TIMESTAMP_AHEAD = "timestamp_in_future"  # Our clock is ahead of Stripe's by more than 5 minutes.


def flush(team_id: UUID | None = None) -> int:
    """Deliver rows that are due; returns how many were delivered. Does nothing without a key.

    Ends early when Stripe cannot be reached; the next flush continues.
    """
    if not gateway.is_enabled():
        return 0
    count = 0
    while claim := claims.claim_next(team_id):
        try:
            count += _deliver(claim)
        except StripeServerError as problem:
            logger.warning("Outbox row %s: %s", claim.row, problem)
        except StripeFailure as problem:
            logger.warning("The outbox waits at row %s: %s", claim.row, problem)
            break
    return count


def _deliver(claim: Claim) -> bool:
    """Make the next call about a claimed row; returns whether it is delivered now. Raises
    StripeFailure."""
    is_late = _is_too_late(claim.row)
    # Stripe may no longer recognise the identifier of the first try.
    is_expired = now() - (claim.before.first_try_at or now()) > IDENTIFIER_VALID_FOR
    if claim.before.status == StripeOutbox.Status.UNKNOWN and (
        is_late or claim.row.verify_before_send or is_expired
    ):
        return _reconcile_unknown(claim)
    return _move(claim) if is_late else _send(claim)


def _move(claim: Claim) -> bool:
    """Move the row's amount into the current period; without one, mark the row dead and alert."""
    try:
        move_to_adjustments(claim, now())
        settle_alert(f"outbox:{claim.row.identifier}")
    except MeterMissing:
        claims.reschedule(claim, "waits for the meter of adjustments", at=now() + METER_LAG)
    except NoFreeMinute:  # The period has only begun.
        claims.reschedule(claim, "waits for a minute of its own", at=now() + MINUTE)
    except NoSubscription:
        claims.mark_rejected(claim, "too late for its invoice, and no other is to come")
        raise_alert(
            f"outbox:{claim.row.identifier}",
            f"{claim.row.team} used {exact_money(claim.row.amount_micro)} that came too late for "
            f"its last invoice (outbox row {claim.row}). It goes on the first invoice of their "
            "next subscription.",
        )
    return False


def _is_too_late(row: StripeOutbox) -> bool:
    """Whether an event would be refused, or miss the invoice of its period."""
    is_closed = row.period_end is not None and now() >= row.period_end + REPORTING_GRACE
    return is_closed or now() - row.happened_at > MAX_EVENT_AGE


def _send(claim: Claim) -> bool:
    row = claim.row
    params = {
        "event_name": row.event_name,
        "payload": {"stripe_customer_id": row.customer, "value": str(row.value)},
        "identifier": row.wire_identifier,
        "timestamp": row.minute * 60,
    }
    try:
        gateway.create_meter_event(params, key=row.idempotency_key)
    except StripeRequestRejected as refusal:
        if refusal.stripe_code == KEY_IN_USE:
            claims.mark_unknown(claim, refusal.reason, new_key=False)
            raise StripeRateLimited from refusal
        if refusal.stripe_code == TIMESTAMP_AHEAD:
            claims.reschedule(claim, refusal.reason, at=now() + MINUTE, new_key=True)
            return False
        if DUPLICATE_EVENT_TEXT not in refusal.reason.lower():
            return _mark_dead(claim, refusal)
    except (StripeUnreachable, StripeServerError) as problem:  # The call may have had an effect.
        is_replayed = isinstance(problem, StripeServerError)
        claims.mark_unknown(claim, str(problem), new_key=is_replayed)
        raise
    except StripeFailure as problem:
        claims.reschedule(claim, str(problem))
        raise
    claims.mark_delivered(claim)
    settle_alert(f"outbox:{row.identifier}")
    return True


def _reconcile_unknown(claim: Claim) -> bool:
    """Decide an unknown outcome by Stripe's count of the row's minute; returns whether the row is
    delivered."""
    settled_at = (claim.before.last_try_at or now()) + METER_LAG
    if now() < settled_at:
        claims.reschedule(claim, claim.row.last_error, at=settled_at)
        return False
    try:
        counted = _counted_in_minute(claim.row)
    except StripeRequestRejected as refusal:
        return _mark_dead(claim, refusal)
    except StripeFailure as problem:
        claims.reschedule(claim, str(problem))
        raise
    if counted:
        claims.mark_delivered(claim)
        return True
    claims.mark_not_delivered(claim)
    return False


def _counted_in_minute(row: StripeOutbox) -> int:
    """The units that Stripe counted for the row's customer in the row's minute."""
    start = row.minute * 60
    params = {"customer": row.customer, "start_time": start, "end_time": start + 60}
    meter = Meter.objects.get(event_name=row.event_name)
    parts = gateway.list_meter_event_summaries(params, meter.meter_id)
    return int(sum(part.value for part in parts))


def _mark_dead(claim: Claim, refusal: StripeRequestRejected) -> bool:
    claims.mark_rejected(claim, refusal.reason)
    raise_alert(
        f"outbox:{claim.row.identifier}",
        f"Stripe refused usage of {claim.row.team} (outbox row {claim.row}): {refusal.reason} It "
        "is not billed until somebody repairs the cause. It is tried again every night, and when "
        "the row is resent.",
    )
    return False
