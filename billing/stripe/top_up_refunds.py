"""Refunds and disputes of top-ups: the credit goes, and comes back if the money does.

Only our ledger changes here. Stripe's credit follows it (billing.stripe.credit).
"""

from django.db import transaction
from django.db.models import Q

from billing.budgets.alerts import notify_credit_event
from billing.budgets.budget import lock_budget
from billing.credit import grants
from billing.models import CreditGrant, LedgerEntry, TopUp
from billing.money import MICRO_PER_CENT
from billing.stripe import gateway
from billing.stripe.errors import StripeNotFound
from billing.stripe.top_ups import sync_top_up
from web.templatetags.ui import money


def revoke_top_up(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """Undo the credit that this payment bought. The same cause ("re_…", "dp_…") counts once."""
    row = _find_top_up(payment_intent)
    if row is not None:
        _revoke(row, min(amount_cents, row.amount_cents), cause, note)


@transaction.atomic
def _revoke(row: TopUp, cents: int, cause: str, note: str) -> None:
    lock_budget(row.team_id)
    row.refresh_from_db()
    if _is_revoked(row, cause):
        return
    taken, left = 0, cents * MICRO_PER_CENT
    # The payment's own credit, and what was given again when an earlier dispute or refund failed.
    kept = Q(source__startswith=f"{row.source}:kept:")
    credit = CreditGrant.objects.filter(Q(source=row.source) | kept, team=row.team)
    for source in credit.order_by("pk").values_list("source", flat=True):
        part = grants.revoke(source, note, amount_micro=left, key=cause)
        taken, left = taken + part, left - part
    row.set_returned(row.returned_cents + cents)
    if taken:
        sentence = f"{money(taken)} of credit was taken back: {note}."
        grant = CreditGrant.objects.select_related("team").get(source=row.source)
        key = f"credit.taken_back:{cause}"
        notify_credit_event("credit.taken_back", grant, sentence, key=key, micro=taken)


def reinstate(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """The money stayed with us after all. Undoes revoke_top_up of the same cause, once."""
    row = _find_top_up(payment_intent)
    if row is not None:
        _reinstate(row, min(amount_cents, row.amount_cents), cause, note)


@transaction.atomic
def _reinstate(row: TopUp, cents: int, cause: str, note: str) -> None:
    lock_budget(row.team_id)
    row.refresh_from_db()
    source = f"{row.source}:kept:{cause}"
    if _is_revoked(row, cause) and not CreditGrant.objects.filter(source=source).exists():
        grants.grant(row.team, cents * MICRO_PER_CENT, kind="paid", source=source, note=note)
        row.set_returned(max(0, row.returned_cents - cents))


def _is_revoked(row: TopUp, cause: str) -> bool:
    taken = LedgerEntry.objects.filter(team=row.team, kind=LedgerEntry.Kind.TAKE_BACK)
    return taken.filter(source__endswith=f":{cause}").exists()


def _find_top_up(payment_intent: str) -> TopUp | None:
    """The top-up of a payment, settled first if this message is ahead of that of its payment."""
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
