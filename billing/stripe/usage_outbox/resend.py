"""Sending rows again: by hand, after Stripe lost them, and on the team's next subscription."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing.credit.open_usage import EPOCH, FINAL_INVOICE_WITHIN
from billing.models import StripeCustomer, StripeInvoice, StripeOutbox, Subscription
from web.errors import UserError

Status = StripeOutbox.Status
INVOICED_AT_ONCE = ("subscription_update", "subscription_threshold", "subscription")


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


def find_unbilled(team: Team, before: datetime, stripe_id: str) -> QuerySet[StripeOutbox]:
    """Usage from before this subscription began that no invoice of an earlier one holds.

    A subscription that is ended at once, or whose customer is deleted, has no last invoice. Those
    of an unpaid one stay drafts.
    """
    abandoned = Q(status="draft", created_at__lt=now() - FINAL_INVOICE_WITHIN)
    invoices = StripeInvoice.objects.filter(~abandoned, team=team)
    cycles = invoices.filter(billing_reason="subscription_cycle").values_list("period_end")
    # Whoever ends a subscription in Stripe's dashboard may have it invoiced at once.
    at_once = invoices.filter(billing_reason__in=INVOICED_AT_ONCE).values_list("created_at")
    closed = max((end for (end,) in cycles.union(at_once)), default=EPOCH)
    customer = StripeCustomer.objects.get(team=team)
    earlier = customer.elsewhere.get(customer.account, {}).get("earlier", [])
    first, last = -(-int(closed.timestamp()) // 60), int(before.timestamp()) // 60
    return (
        StripeOutbox.objects.filter(team=team, minute__gte=first, minute__lt=last)
        .exclude(subscription__in=["", stripe_id])
        .filter(customer__in=[customer.customer_id, *earlier])  # Not a sandbox's.
        .exclude(status=Status.MOVED)
        .exclude(claimed_until__gt=now())
    )


def bill_with(row: Subscription) -> int:
    """Have what no invoice of an earlier subscription holds moved to this one's first invoice."""
    unbilled = find_unbilled(row.team, row.created_at, row.stripe_id)
    return unbilled.update(
        status=Status.PENDING,
        period_end=EPOCH,  # The sender moves what comes too late for its period.
        first_try_at=None,
        sent_at=None,
        verify_before_send=False,
        next_at=now(),
    )
