"""Amounts that operators post by hand: always with a reason, never by changing an entry."""

from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.models import Team, User
from billing.budgets import alerts
from billing.budgets.budget import lock_budget
from billing.ledger.posting import PostingDetails, post_entry
from billing.models import LedgerEntry
from web.errors import UserError


class BadAdjustment(UserError):
    code, status = "bad_adjustment", 400


@transaction.atomic
def post_adjustment(
    team: Team, amount_micro: int, reason: str, *, by: User, request_id: UUID
) -> LedgerEntry:
    """Book a signed amount: negative gives back, positive charges. The same request counts once.

    Raises BadAdjustment without a reason or an amount.
    """
    if not reason.strip():
        raise BadAdjustment("An adjustment needs a reason that the customer will read.")
    if amount_micro == 0:
        raise BadAdjustment("An adjustment of nothing changes nothing. Enter an amount.")
    budget = lock_budget(team.pk)
    source = f"adjustment:{request_id}"
    existing = LedgerEntry.objects.filter(source=source).first()
    if existing is not None:
        return existing
    details = PostingDetails(source=source, note=reason.strip())
    entry = post_entry(budget, LedgerEntry.Kind.ADJUSTMENT, amount_micro, details)
    budget.save(update_fields=["spent_micro"])
    alerts.notify_thresholds(budget)
    audit.record(team, by, "ledger.adjusted", source, micro=amount_micro, reason=reason)
    return entry
