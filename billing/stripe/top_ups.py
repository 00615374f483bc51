"""Prepaid credit: bought at Checkout, granted once when Stripe says that it is paid, taken back
when the payment is refunded or disputed, and granted again when the refund or dispute fails.

The grant's source names the payment, so that several events about a payment make one grant. The
credit grant at Stripe, by which its invoices take credit off, is created later by
`billing.stripe.credit`.
"""

from itertools import dropwhile, islice
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.permissions import require_permission
from billing.budgets.alerts import notify_credit_event
from billing.budgets.budget import lock_budget
from billing.credit import grants
from billing.models import CreditGrant, LedgerEntry, TopUp
from billing.money import MICRO_PER_CENT
from billing.stripe import gateway
from billing.stripe.account import (
    create_page,
    current_account,
    return_urls,
    tax_params,
    with_customer,
)
from billing.stripe.dtos import StripeCheckoutSessionData, StripeParams
from billing.stripe.errors import StripeNotFound
from billing.stripe.sync import refresh_open_period
from web.errors import UserError
from web.templatetags.ui import money
from web.validation.values import parse_uuid


class TopUpMismatch(UserError):
    code, status = "another_top_up", 409
    sentence = "This form was sent before with another amount. Reload the page and try again."


class TopUpDone(UserError):
    code, status = "top_up_done", 409
    sentence = "This credit has been paid for already. Reload the page to add more."


def start_top_up_checkout(team: Team, user: User, amount_cents: int, request_id: UUID) -> str:
    """The address of Stripe's page for paying a top-up. The same `request_id` is one top-up. Raises
    TopUpMismatch, TopUpDone and StripeFailure."""
    require_permission(user, team, "billing")
    row, is_new = TopUp.objects.get_or_create(
        pk=request_id,
        defaults={
            "team": team,
            "account": current_account(),
            "amount_cents": amount_cents,
            "created_by": user,
        },
    )
    if (row.team_id, row.amount_cents) != (team.pk, amount_cents):
        raise TopUpMismatch
    if is_new:
        audit.record(team, user, "credit.checkout_opened", str(row.pk), cents=amount_cents)
    if row.session_id:  # An earlier click created a page, which may still be open.
        session = gateway.retrieve_checkout_session(row.session_id)
        if session.status == "complete" and row.status != TopUp.Status.FAILED:
            raise TopUpDone
        if session.status == "open" and session.url:
            return session.url
    return with_customer(team, lambda customer: _open_page(row, customer))


def _open_page(row: TopUp, customer: str) -> str:
    metadata = {"topup": str(row.pk), "team": str(row.team_id)}
    product = {"name": "Prepaid credit"}
    price = {"currency": "usd", "unit_amount": row.amount_cents, "product_data": product}
    params: StripeParams = {
        "mode": "payment",
        "customer": customer,
        "client_reference_id": str(row.team_id),
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "invoice_creation": {"enabled": True},
        **return_urls(row.team),
        **tax_params(),
    }
    return create_page(
        row,
        "session_id",
        lambda number: gateway.create_checkout_session(params, key=f"topup:{row.pk}:{number}"),
        status=TopUp.Status.OPEN,
    ).url


def find_top_up(session: StripeCheckoutSessionData) -> TopUp | None:
    """The top-up that a Checkout session pays for; None for any other session."""
    rows = TopUp.objects.select_related("team", "created_by")
    if row := rows.filter(session_id=session.id).first():
        return row
    # The event may arrive before the session's id was stored.
    topup_id = parse_uuid(session.metadata.get("topup", ""))
    return rows.filter(pk=topup_id, session_id=None).first() if topup_id else None


def sync_top_up(session: StripeCheckoutSessionData) -> None:
    """Follow the state of a payment: grant the credit once it is paid. Repeatable."""
    row = find_top_up(session)
    if row is None:
        return
    if session.payment_status == "paid" and session.payment_intent:
        refresh_open_period(row.team)
        _mark_paid(row, session)
    elif session.status == "expired":
        row.transition(TopUp.Status.EXPIRED)


def mark_failed(session: StripeCheckoutSessionData) -> None:
    """Mark a top-up as failed whose delayed payment did not arrive."""
    row = find_top_up(session)
    if row is not None and session.payment_status != "paid":
        row.transition(TopUp.Status.FAILED)


@transaction.atomic
def _mark_paid(row: TopUp, session: StripeCheckoutSessionData) -> None:
    lock_budget(row.team_id)
    row.refresh_from_db()
    if row.payment_intent:  # Paid before; since then it may have been refunded.
        return
    is_newly_paid = row.transition(
        TopUp.Status.PAID,
        session_id=session.id,
        payment_intent=session.payment_intent,
        paid_at=now(),
    )
    if is_newly_paid:
        grants.grant(
            row.team,
            row.amount_micro,
            kind="paid",
            source=row.source,
            note="Top-up paid by card",
            by=row.created_by,
        )


# --- Refunds and disputes: only our ledger changes; Stripe's credit follows it ------------------


def revoke_top_up(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """Take back the credit that a refunded or disputed part of a payment bought.

    `cause`: the id of the refund or dispute; each takes credit back once. `amount_cents`: with tax.
    """
    row = _find_top_up(payment_intent)
    if row is None:
        return
    cents = _credit_cents(row, payment_intent, amount_cents, cause)
    with transaction.atomic():
        lock_budget(row.team_id)
        row.refresh_from_db()
        if _revoked_micro(row, cause):
            return
        revoked, left = 0, cents * MICRO_PER_CENT
        # The grant of the payment, and those that were reinstated after an earlier dispute failed.
        reinstated = Q(source__startswith=f"{row.source}:kept:")
        credit = CreditGrant.objects.filter(Q(source=row.source) | reinstated, team=row.team)
        for source in credit.order_by("pk").values_list("source", flat=True):
            part = grants.revoke(source, note, amount_micro=left, key=cause)
            revoked, left = revoked + part, left - part
        row.set_returned(row.returned_cents + cents)
        if revoked:
            sentence = f"{money(revoked)} of credit was taken back: {note}."
            grant = CreditGrant.objects.select_related("team").get(source=row.source)
            key = f"credit.taken_back:{cause}"
            notify_credit_event("credit.taken_back", grant, sentence, key=key, micro=revoked)


def _credit_cents(row: TopUp, payment_intent: str, amount_cents: int, cause: str) -> int:
    """The credit that a part of the payment bought: tax is paid and refunded along, and is none.

    Rounded up together with earlier refunds, so that many parts take no more than the whole.
    """
    paid_cents, before = gateway.retrieve_payment(payment_intent).amount_cents, 0
    if paid_cents != row.amount_cents:
        newest_first = gateway.list_refunds({"payment_intent": payment_intent})
        own_and_before = dropwhile(lambda refund: refund.id != cause, newest_first)
        before = sum(
            refund.amount_cents
            for refund in islice(own_and_before, 1, None)
            if not refund.has_failed
        )
    upto, without = (
        -(-cents * row.amount_cents // paid_cents) for cents in (before + amount_cents, before)
    )
    return min(upto - without, row.amount_cents)


def reinstate(payment_intent: str, *, cause: str, note: str) -> None:
    """Grant again, once, what `revoke_top_up` took back for the same cause: the refund failed, or
    the dispute was won."""
    row = _find_top_up(payment_intent)
    if row is None:
        return
    with transaction.atomic():
        lock_budget(row.team_id)
        row.refresh_from_db()
        revoked, source = _revoked_micro(row, cause), f"{row.source}:kept:{cause}"
        if revoked and not CreditGrant.objects.filter(source=source).exists():
            grants.grant(row.team, revoked, kind="paid", source=source, note=note)
            row.set_returned(row.returned_cents - revoked // MICRO_PER_CENT)


def _revoked_micro(row: TopUp, cause: str) -> int:
    """The micro-USD of credit that were taken back for this cause."""
    revocations = LedgerEntry.objects.filter(team=row.team, kind=LedgerEntry.Kind.TAKE_BACK)
    return revocations.filter(source__endswith=f":{cause}").total_micro()


def _find_top_up(payment_intent: str) -> TopUp | None:
    """The top-up of a payment; None for any other payment. Where the event that it was paid has not
    arrived yet, the top-up is synced first."""
    rows = TopUp.objects.select_related("team", "created_by")
    if row := rows.filter(payment_intent=payment_intent).first():
        return row
    try:
        topup_id = gateway.retrieve_payment(payment_intent).metadata.get("topup", "")
    except StripeNotFound:
        return None
    row = rows.filter(pk=topup_id).first() if topup_id else None
    if row is None or not row.session_id:
        return None
    sync_top_up(gateway.retrieve_checkout_session(row.session_id))
    return rows.filter(payment_intent=payment_intent).first()
