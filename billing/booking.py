"""The one way in which usage enters the ledger: entry, budget and credit in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.timezone import now

from billing import credit_moves
from billing.models import Budget, LedgerEntry, MeteredRun


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What an amount is booked for. `source` is unique: the same fact is booked once."""

    source: str
    about: str = ""
    note: str = ""
    run: MeteredRun | None = None
    sku: str = ""
    token_prefix: str = ""
    occurred_at: datetime | None = None


def book(budget: Budget, kind: LedgerEntry.Kind, amount_micro: int, fact: Fact) -> LedgerEntry:
    """Enter a charge (positive) or what is given back (negative); credit settles it or returns.

    The budget is locked and the caller saves its `spent_micro`. Never dated before the budget's
    period: a month that is over does not change any more.
    """
    entry = LedgerEntry.objects.create(
        team_id=budget.pk,
        kind=kind,
        amount_micro=amount_micro,
        source=fact.source,
        about=fact.about,
        note=fact.note[:255],
        run=fact.run,
        sku=fact.sku,
        token_prefix=fact.token_prefix,
        occurred_at=max(fact.occurred_at or now(), budget.period_start),
    )
    budget.spent_micro += amount_micro
    if amount_micro > 0:
        credit_moves.burn(budget, entry)
    else:
        credit_moves.put_back(budget, entry)
    return entry
