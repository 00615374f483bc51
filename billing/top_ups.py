"""Prepaid credit: opened at Checkout, granted once when Stripe says that it is paid.

The grant's source names the payment, so of several messages about one payment only one counts.
What Stripe is told (its own credit grant, so that its invoice takes the credit off) follows after
our row and can be repeated.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.access import require
from accounts.models import Team, User
from billing import budget as budgets
from billing import credits
from billing import stripe_gateway as gateway
from billing.models import TopUp
from billing.stripe_credit import mirror_top_up
from billing.stripe_facts import SessionFacts
from billing.subscribing import customer_of, return_addresses, tax_params
from web.errors import UserError


class AnotherTopUp(UserError):
    code, status = "another_top_up", 409
    sentence = "This form was sent before with another amount. Reload the page and try again."


def open_top_up(team: Team, user: User, amount_cents: int, request_id: UUID) -> str:
    """The address of Stripe's page for paying it. The same request twice is one top-up."""
    require(user, team, "billing")
    customer = customer_of(team)
    row, is_new = TopUp.objects.get_or_create(
        pk=request_id, defaults={"team": team, "amount_cents": amount_cents, "created_by": user}
    )
    if (row.team_id, row.amount_cents) != (team.pk, amount_cents):
        raise AnotherTopUp
    made = gateway.create_session(_session_params(row, team, customer), key=f"topup:{row.pk}")
    TopUp.objects.filter(pk=row.pk, session_id=None).update(session_id=made.id)
    if is_new:
        audit.record(team, user, "credit.checkout_opened", str(row.pk), cents=amount_cents)
    return made.url


def _session_params(row: TopUp, team: Team, customer: str) -> dict[str, Any]:
    belongs = {"topup": str(row.pk), "team": str(team.pk)}
    product = {"name": "Prepaid credit"}
    price = {"currency": "usd", "unit_amount": row.amount_cents, "product_data": product}
    return {
        "mode": "payment",
        "customer": customer,
        "client_reference_id": str(team.pk),
        "line_items": [{"price_data": price, "quantity": 1}],
        "metadata": belongs,
        "payment_intent_data": {"metadata": belongs},
        "invoice_creation": {"enabled": True},
        **return_addresses(team),
        **tax_params(),
    }


def find(session: SessionFacts) -> TopUp | None:
    """The top-up that a session pays for; None for a session that is none of ours."""
    rows = TopUp.objects.select_related("team", "created_by")
    named = session.metadata.get("topup", "")
    found = rows.filter(session_id=session.id).first()
    if found is None and _is_uuid(named):  # Stripe was quicker than our own note of its answer.
        found = rows.filter(pk=named, session_id=None).first()
    return found


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def settle(session: SessionFacts) -> None:
    """Follow what Stripe says of a payment: grant the credit once it is paid. Repeatable."""
    row = find(session)
    if row is None:
        return
    if session.payment_status == "paid" and session.payment_intent:
        _pay(row, session)
        mirror_top_up(row)
    elif session.status == "expired":
        row.move(TopUp.Status.EXPIRED)


def fail(session: SessionFacts) -> None:
    """A delayed payment did not arrive."""
    row = find(session)
    if row is not None and session.payment_status != "paid":
        row.move(TopUp.Status.FAILED)


@transaction.atomic
def _pay(row: TopUp, session: SessionFacts) -> None:
    budgets.lock(row.team_id)
    row.refresh_from_db()
    if row.payment_intent:  # Paid before; since then it may have been refunded.
        return
    is_news = row.move(
        TopUp.Status.PAID,
        session_id=session.id,
        payment_intent=session.payment_intent,
        paid_at=now(),
    )
    if is_news:
        credits.grant(
            row.team,
            row.amount_micro,
            kind="paid",
            source=row.source,
            note="Top-up paid by card",
            by=row.created_by,
        )
