"""Amounts that people book by hand: always with a reason, never by changing what stands."""

from uuid import UUID

from django.db import transaction

from accounts import audit
from accounts.models import Team, User
from billing import budget as budgets
from billing import notices
from billing.booking import Fact, book
from billing.models import LedgerEntry
from web.errors import UserError


class BadAdjustment(UserError):
    code, status = "bad_adjustment", 400


@transaction.atomic
def adjust(
    team: Team, amount_micro: int, reason: str, *, by: User, request_id: UUID
) -> LedgerEntry:
    """Book a signed amount: negative gives back, positive charges. The same request counts once.

    Raises BadAdjustment without a reason or an amount.
    """
    if not reason.strip():
        raise BadAdjustment("An adjustment needs a reason that the customer will read.")
    if amount_micro == 0:
        raise BadAdjustment("An adjustment of nothing changes nothing. Enter an amount.")
    budget = budgets.lock(team.pk)
    source = f"adjustment:{request_id}"
    if (known := LedgerEntry.objects.filter(source=source).first()) is not None:
        return known
    fact = Fact(source=source, note=reason.strip())
    entry = book(budget, LedgerEntry.Kind.ADJUSTMENT, amount_micro, fact)
    budget.save(update_fields=["spent_micro"])
    notices.look(budget)
    audit.record(team, by, "ledger.adjusted", source, micro=amount_micro, reason=reason)
    return entry
