"""Resending rows by hand, and marking rows that Stripe reports as lost."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import User
from billing.models import StripeOutbox
from web.errors import UserError

Status = StripeOutbox.Status


class CannotResend(UserError):
    code, status = "cannot_resend", 409


@transaction.atomic
def resend(row_id: int, *, by: User) -> StripeOutbox:
    """Deliver a row again, whatever became of it, without letting it count twice.

    If an earlier call may have had its effect, Stripe's count of the row's minute is asked
    first. Raises CannotResend for what only our ledger bills and while a call is under way.
    """
    row = StripeOutbox.objects.select_for_update(of=("self",)).select_related("team").get(pk=row_id)
    if row.status == Status.LOCAL:
        raise CannotResend(f"{row} is billed on our ledger alone: there is nothing to resend.")
    if row.claimed_until and row.claimed_until > now():
        raise CannotResend(f"{row} is being sent right now. Look again in a few minutes.")
    previous = row.status
    if previous in {Status.SENT, Status.DEAD}:
        row.status = Status.UNKNOWN if row.first_try_at else Status.PENDING
        row.verify_before_send = row.first_try_at is not None
        row.idempotency_generation += 1
    row.sent_at, row.next_at = None, now()
    row.save()
    audit.record(row.team, by, "outbox.resent", row.identifier, was=previous, error=row.last_error)
    return row


@transaction.atomic
def mark_lost(identifiers: Iterable[str], reason: str) -> int:
    """Stripe accepted these events and did not count them; returns how many rows that concerns.

    They wait, dead, for somebody to repair the cause and resend them.
    """
    lost = 0
    for identifier in identifiers:
        plain = identifier.rpartition(":")[0]
        rows = StripeOutbox.objects.select_for_update().filter(
            identifier__in=[identifier, plain], status=Status.SENT
        )
        for row in rows:
            if row.wire_identifier == identifier:
                row.status, row.sent_at, row.last_error = Status.DEAD, None, reason[:500]
                row.save()
                lost += 1
    return lost
