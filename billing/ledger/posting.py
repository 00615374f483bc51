"""The one way in which usage enters the ledger: entry, budget and credit in one transaction."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing.budgets.budget import lock_budget, roll_over
from billing.credit import application
from billing.credit.invoice_periods import GIVEN_BACK
from billing.credit.open_usage import open_due_micro
from billing.models import Budget, CreditGrant, LedgerEntry
from billing.months import month_of


def post_entry(budget: Budget, entry: LedgerEntry, *, at: datetime | None = None) -> LedgerEntry:
    """Enter a charge (positive) or what is given back (negative); credit settles it or returns.

    The budget is locked and the caller saves its `spent_micro`. Never dated before the budget's
    period: a month that is over does not change any more. `at`, by the database's clock, may begin
    a month that this machine's clock has not reached yet.
    """
    entry.team_id, entry.note = budget.pk, entry.note[:255]
    entry.occurred_at = max(at or now(), budget.period_start)
    roll_over(budget, month_of(entry.occurred_at))
    entry.save(force_insert=True)
    budget.spent_micro += entry.amount_micro
    if entry.amount_micro > 0:
        application.apply_credit(budget, entry)
        return entry
    # Undo what the charges owe, return the credit they used, and make credit of what was paid.
    paid = -entry.amount_micro - application.restore(budget, entry)
    application.queue_mirror(budget)
    _credit_overpaid(budget, str(entry.pk), entry.note or "Given back", most=paid)
    return entry


@transaction.atomic
def credit_overpaid(team_id: UUID, key: str, note: str) -> None:
    """Make credit of what is given back beyond what is due. The same key counts once.

    To be called when an invoice has become final: it may have collected what was given back while
    we had not heard of it.
    """
    budget = lock_budget(team_id)
    if not LedgerEntry.objects.filter(source=f"{GIVEN_BACK}{key}").exists():
        _credit_overpaid(budget, key, note)
        budget.save(update_fields=["spent_micro"])


def _credit_overpaid(budget: Budget, key: str, note: str, *, most: int | None = None) -> None:
    """What an invoice has collected already is not owed any more: giving it back leaves a negative
    amount due, which becomes a grant."""
    paid = -open_due_micro(budget)
    paid = paid if most is None else min(paid, most)
    if paid <= 0:
        return
    LedgerEntry.objects.create(
        team_id=budget.pk,
        kind=LedgerEntry.Kind.ADJUSTMENT,
        amount_micro=paid,
        source=f"{GIVEN_BACK}{key}",
        note="Given back as credit",
        occurred_at=max(now(), budget.period_start),
    )
    budget.spent_micro += paid
    grant = CreditGrant(kind="promo", granted_micro=paid, source=f"refund:{key}", note=note)
    application.create_grant(budget, grant)
