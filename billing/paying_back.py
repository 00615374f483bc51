"""Refunds and disputes of top-ups: the credit goes, and comes back if the money does."""

from django.db import transaction
from django.db.models import Q, QuerySet

from billing import budget as budgets
from billing import credits, stripe_credit
from billing import stripe_gateway as gateway
from billing.models import CreditGrant, LedgerEntry, TopUp
from billing.notices import tell_of_credit
from billing.stripe_errors import StripeBusy, StripeMissing
from billing.top_ups import settle
from web.alone import alone
from web.templatetags.ui import money

MICRO_PER_CENT = 10_000


def take_back(payment_intent: str, amount_cents: int, *, cause: str, note: str) -> None:
    """Undo the credit that this payment bought. The same cause ("re_…", "dp_…") counts once."""
    row = _paid_by(payment_intent)
    if row is None:
        return
    is_whole = amount_cents >= row.amount_cents
    _take(row, min(amount_cents, row.amount_cents), cause, note, is_whole=is_whole)
    with alone(f"Stripe's credit for {row.pk}") as is_ours:
        if not is_ours:  # Two at once would each make a grant for a rest of its own.
            raise StripeBusy
        _follow_at_stripe(row, amount_cents, cause, is_whole=is_whole)


def _follow_at_stripe(row: TopUp, amount_cents: int, cause: str, *, is_whole: bool) -> None:
    if is_whole:
        stripe_credit.withdraw(row.team, row.source)
        return
    row.refresh_from_db()
    if cause not in row.shrunk_for:
        stripe_credit.shrink(row.team, row.source, amount_cents, cause=cause)
        TopUp.objects.filter(pk=row.pk).update(shrunk_for=[*row.shrunk_for, cause])


@transaction.atomic
def _take(row: TopUp, amount_cents: int, cause: str, note: str, *, is_whole: bool) -> None:
    budgets.lock(row.team_id)
    if _was_taken(row, cause):
        return
    taken, left = 0, amount_cents * MICRO_PER_CENT
    # The payment's own credit, and what was given again when an earlier dispute or refund failed.
    for source in _bought(row).order_by("pk").values_list("source", flat=True):
        part = credits.take_back(source, note, amount_micro=left, key=cause)
        taken, left = taken + part, left - part
    if is_whole:
        row.move(TopUp.Status.REFUNDED)
    if taken:
        sentence = f"{money(taken)} of credit was taken back: {note}."
        grant = CreditGrant.objects.select_related("team").get(source=row.source)
        key = f"credit.taken_back:{cause}"
        tell_of_credit("credit.taken_back", grant, sentence, key=key, micro=taken)


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
        if not CreditGrant.objects.filter(source=source).exists():
            credits.grant(row.team, cents * MICRO_PER_CENT, kind="paid", source=source, note=note)
            row.move(TopUp.Status.PAID)
    row.refresh_from_db()
    if row.status == TopUp.Status.PAID:  # Since then it may have been refunded.
        stripe_credit.ensure_stripe_grant(
            row.team, cents, name=note[:100], source=source, category="paid"
        )


def _bought(row: TopUp) -> QuerySet[CreditGrant]:
    kept = Q(source__startswith=f"{row.source}:kept:")
    return CreditGrant.objects.filter(Q(source=row.source) | kept, team=row.team)


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
