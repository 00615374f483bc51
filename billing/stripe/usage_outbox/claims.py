"""Claims of outbox rows by senders, the outcomes of claims, and sending rows again.

A claim is committed, with the time of the call, before Stripe is called, so that a sender that is
killed leaves a row with the status "unknown". No transaction is open during the call. Stripe allows
one call at a time per customer and meter, and so does a claim, which expires long after every
timeout of the call. `web.row_queue.claim_rows` does not do this, so claiming is written here.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing.credit.invoice_periods import EPOCH, FINAL_INVOICE_WITHIN
from billing.models import StripeCustomer, StripeInvoice, StripeOutbox, Subscription
from web.advisory_lock import try_advisory_lock_in_transaction
from web.errors import UserError
from web.row_queue import retry_at, update_claimed

Status = StripeOutbox.Status

# Stripe's client gives up after 1.5 minutes, its retries included.
VISIBILITY_TIMEOUT = timedelta(minutes=4)
MAX_CANDIDATES = 50  # Due rows tried for one claim, as other senders may claim them first.
RETRY_DELAYS = (12, 24, 48, 96, 192, 384, 768, 1500)  # Seconds.
INVOICED_AT_ONCE = ("subscription_update", "subscription_threshold", "subscription")


class CannotResend(UserError):
    code, status = "cannot_resend", 409


@dataclass(frozen=True)
class Claim:
    """The right to call Stripe about a row until `row.claimed_until`; `before` is the row as it was
    before the claim."""

    row: StripeOutbox
    before: StripeOutbox


@transaction.atomic
def claim_next(team_id: UUID | None = None) -> Claim | None:
    """Claim the next due row; None when no due row is free."""
    moment = now()
    calling = StripeOutbox.objects.filter(claimed_until__gt=moment)
    same = calling.filter(team_id=OuterRef("team_id"), meter=OuterRef("meter"))
    due = StripeOutbox.objects.due(moment).filter(~Exists(same)).order_by("next_at", "pk")
    if team_id is not None:
        due = due.filter(team_id=team_id)
    for row in due.select_for_update(skip_locked=True, of=("self",))[:MAX_CANDIDATES]:
        # Of the senders that claim at the same time, one per team and meter gets the lock.
        is_only_one = try_advisory_lock_in_transaction(f"outbox:{row.team_id}:{row.meter}")
        if not is_only_one or calling.filter(team=row.team_id, meter=row.meter).exists():
            continue
        claim = Claim(row, copy(row))
        row.status = Status.UNKNOWN
        row.first_try_at = row.first_try_at or moment
        row.last_try_at, row.claimed_until = moment, moment + VISIBILITY_TIMEOUT
        row.next_at = row.claimed_until
        row.tries += 1
        row.save()
        return claim
    return None


def mark_delivered(claim: Claim) -> None:
    """Stripe has accepted the row."""
    _release_claim(claim, status=Status.SENT, sent_at=now(), last_error="")


def mark_unknown(claim: Claim, error: str, *, new_key: bool) -> None:
    """The outcome of the call is unknown: try again, with a new idempotency key if `new_key`."""
    _release_claim(
        claim,
        idempotency_generation=claim.row.idempotency_generation + (1 if new_key else 0),
        next_at=retry_at(claim.row.tries, RETRY_DELAYS),
        last_error=error,
    )


def reschedule(
    claim: Claim, error: str, *, at: datetime | None = None, new_key: bool = False
) -> None:
    """The call certainly had no effect: restore the row's state before it, and try later."""
    _release_claim(
        claim,
        **_state_before_claim(claim),
        idempotency_generation=claim.row.idempotency_generation + new_key,
        next_at=at or retry_at(claim.row.tries, RETRY_DELAYS),
        last_error=error,
    )


def mark_rejected(claim: Claim, error: str) -> None:
    """Stripe will never accept the row as it is: mark it dead, for an operator to look at."""
    _release_claim(
        claim, **(_state_before_claim(claim) | {"status": Status.DEAD}), last_error=error
    )


def mark_not_delivered(claim: Claim) -> None:
    """No earlier call had an effect: reset the row, with a new idempotency key.

    After `resend` the event's identifier is new, too, as Stripe still remembers that of an event
    which it accepted and then lost.
    """
    row = claim.row
    _release_claim(
        claim,
        status=Status.PENDING,
        first_try_at=None,
        idempotency_generation=row.idempotency_generation + 1,
        identifier_suffix=row.identifier_suffix + (1 if row.verify_before_send else 0),
        verify_before_send=False,
        next_at=now(),
        last_error="",
    )


def mark_moved(claim: Claim, reference: str) -> None:
    """The row's amount was moved to a later row; Stripe has no event of it."""
    _release_claim(
        claim, status=Status.MOVED, first_try_at=None, reference=reference, last_error=""
    )


def _state_before_claim(claim: Claim) -> dict[str, object]:
    names = ("status", "first_try_at", "last_try_at")
    return {name: getattr(claim.before, name) for name in names}


def _release_claim(claim: Claim, **columns: object) -> None:
    """Write the outcome, unless the claim expired and another sender claimed the row."""
    update_claimed(claim.row, attempts="tries", claimed_until=None, **columns)


# --- Sending rows again: by hand, after Stripe lost them, with the team's next subscription -----


@transaction.atomic
def resend(row_id: int, *, by: User) -> StripeOutbox:
    """Have a row delivered again, whatever its status, without counting it twice.

    If an earlier call may have had an effect, Stripe's count of the row's minute is checked first.
    Raises CannotResend for a row that only our ledger bills, one that was moved to a later row, and
    one that is being sent.
    """
    row = StripeOutbox.objects.select_for_update(of=("self",)).select_related("team").get(pk=row_id)
    if row.status == Status.LOCAL:
        raise CannotResend(f"{row} is billed on our ledger alone: there is nothing to resend.")
    if row.status == Status.MOVED:
        raise CannotResend(f"{row} went with a later row, {row.reference}: resend that one.")
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


def retry_refused() -> int:
    """Retry dead rows that Stripe certainly never accepted, while their subscription is in force;
    returns how many. The cause may have been repaired. Rows that Stripe accepted and lost wait for
    an operator."""
    current = Subscription.objects.in_force().filter(stripe_id=OuterRef("subscription"))
    refused = StripeOutbox.objects.filter(Exists(current), status=Status.DEAD, first_try_at=None)
    return refused.update(
        status=Status.PENDING,
        idempotency_generation=F("idempotency_generation") + 1,
        next_at=now(),
    )


@transaction.atomic
def mark_lost(identifiers: Iterable[str], reason: str) -> int:
    """Mark rows as dead whose events Stripe accepted and did not count, for an operator to resend;
    returns how many."""
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
    """Rows of usage from before this subscription began that are on no invoice of an earlier one.

    A subscription that is ended at once, or whose customer is deleted, has no last invoice, and the
    invoices of an unpaid one stay drafts.
    """
    abandoned = Q(status="draft", created_at__lt=now() - FINAL_INVOICE_WITHIN)
    invoices = StripeInvoice.objects.filter(~abandoned, team=team)
    cycles = invoices.filter(billing_reason="subscription_cycle").values_list("period_end")
    # A subscription that is ended in Stripe's dashboard may be invoiced at once.
    at_once = invoices.filter(billing_reason__in=INVOICED_AT_ONCE).values_list("created_at")
    closed = max((end for (end,) in cycles.union(at_once)), default=EPOCH)
    customer = StripeCustomer.objects.get(team=team)
    earlier = customer.elsewhere.get(customer.account, {}).get("earlier", [])
    first, last = (-(-int(moment.timestamp()) // 60) for moment in (closed, before))
    # What Stripe never took is on no invoice, whenever it was used.
    never_taken = Q(status=Status.DEAD, first_try_at=None) | Q(period_end=EPOCH)
    return (
        StripeOutbox.objects.filter(Q(minute__gte=first) | never_taken, team=team, minute__lt=last)
        .exclude(subscription__in=["", stripe_id])
        .filter(customer__in=[customer.customer_id, *earlier])  # Not a sandbox's.
        .exclude(status=Status.MOVED)
        .exclude(claimed_until__gt=now())
    )


def waiting_micro(team: Team) -> int:
    """What only the team's next subscription will bill, before credit; 0 while it has one."""
    customers = StripeCustomer.objects.filter(team=team)
    if Subscription.objects.open().filter(team=team).exists() or not customers.exists():
        return 0
    return find_unbilled(team, now(), "").aggregate(total=Sum("amount_micro"))["total"] or 0


def bill_with(row: Subscription) -> int:
    """Have usage that is on no invoice of an earlier subscription moved to this one's first
    invoice; returns how many rows."""
    unbilled = find_unbilled(row.team, row.created_at, row.stripe_id)
    return unbilled.update(
        status=Status.PENDING,
        period_end=EPOCH,  # The sender moves rows that are too late for their period.
        first_try_at=None,
        sent_at=None,
        verify_before_send=False,
        next_at=now(),
    )
