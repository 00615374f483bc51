"""Refunds and disputes of top-ups: the credit goes, and comes back if the money does."""

from django.db import transaction

from accounts.notices import tell
from billing import budget as budgets
from billing import credits, stripe_credit
from billing import stripe_gateway as gateway
from billing.alerts import alert
from billing.models import LedgerEntry, TopUp
from billing.stripe_errors import StripeMissing
from billing.top_ups import settle
from web.templatetags.ui import money

MICRO_PER_CENT = 10_000


def take_back(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """Undo the credit that this payment bought. The same cause ("re_…", "dp_…") counts once."""
    row = _paid_by(payment_intent)
    if row is None:
        return
    is_whole = amount_cents >= row.amount_cents
    _take(row, min(amount_cents, row.amount_cents), cause, note, is_whole=is_whole)
    if is_whole:
        stripe_credit.withdraw(row.team, row.stripe_grant_id, row.source)
    elif row.stripe_grant_id:
        alert(
            f"part-refund:{cause}",
            f"{cause} gave back a part of {row.source} of {row.team.name}. Our ledger has taken "
            f"{money(amount_cents * MICRO_PER_CENT)}; Stripe's grant {row.stripe_grant_id} cannot "
            "be reduced by us: replace it in Stripe's dashboard by one for the rest.",
        )


@transaction.atomic
def _take(row: TopUp, amount_cents: int, cause: str, note: str, *, is_whole: bool) -> None:
    budgets.lock(row.team_id)
    micro = amount_cents * MICRO_PER_CENT
    taken = credits.take_back(row.source, note, amount_micro=micro, key=cause)
    if is_whole:
        row.move(TopUp.Status.REFUNDED)
    if taken:
        sentence = f"{money(taken)} of credit was taken back: {note}."
        tell(row.team, "credit.taken_back", sentence, key=f"credit.taken_back:{cause}")


def give_again(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """The money stayed with us after all. Undoes take_back of the same cause, once."""
    row = _paid_by(payment_intent)
    if row is None:
        return
    source, cents = f"{row.source}:kept:{cause}", min(amount_cents, row.amount_cents)
    with transaction.atomic():
        budgets.lock(row.team_id)
        if not _was_taken(row, cause):
            return
        credits.grant(row.team, cents * MICRO_PER_CENT, kind="paid", source=source, note=note)
        row.move(TopUp.Status.PAID)
    stripe_credit.ensure_stripe_grant(
        row.team, cents, name=note[:100], source=source, category="paid"
    )


def _was_taken(row: TopUp, cause: str) -> bool:
    taken = LedgerEntry.objects.filter(team=row.team, kind=LedgerEntry.Kind.TAKE_BACK)
    return taken.filter(source__endswith=f":{cause}").exists()


def _paid_by(payment_intent: str) -> TopUp | None:
    """The top-up of a payment, settled first if this message is ahead of that of its payment."""
    rows = TopUp.objects.select_related("team", "created_by")
    if row := rows.filter(payment_intent=payment_intent).first():
        return row
    try:
        named = gateway.payment_metadata(payment_intent).get("topup", "")
    except StripeMissing:
        return None
    row = rows.filter(pk=named).first() if named else None
    if row is None or not row.session_id:
        return None
    settle(gateway.session(row.session_id))
    return rows.filter(payment_intent=payment_intent).first()
