"""The one way in which usage enters the ledger: entry, budget and credit in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing.budgets.budget import lock_budget, roll_over
from billing.credit import application
from billing.credit.application import GrantTerms
from billing.credit.open_usage import GIVEN_BACK, open_due_micro
from billing.models import Budget, LedgerEntry, MeteredRun
from billing.months import month_of


@dataclass(frozen=True, kw_only=True)
class PostingDetails:
    """What an amount is posted for. `source` is unique: the same source is posted once."""

    source: str
    about: str = ""
    note: str = ""
    run: MeteredRun | None = None
    sku: str = ""
    token_prefix: str = ""
    occurred_at: datetime | None = None


def post_entry(
    budget: Budget, kind: LedgerEntry.Kind, amount_micro: int, details: PostingDetails
) -> LedgerEntry:
    """Enter a charge (positive) or what is given back (negative); credit settles it or returns.

    The budget is locked and the caller saves its `spent_micro`. Never dated before the budget's
    period: a month that is over does not change any more. An entry that the database's clock
    dates into a month that this machine's clock has not reached yet begins that month.
    """
    occurred_at = max(details.occurred_at or now(), budget.period_start)
    roll_over(budget, month_of(occurred_at))
    entry = LedgerEntry.objects.create(
        team_id=budget.pk,
        kind=kind,
        amount_micro=amount_micro,
        source=details.source,
        about=details.about,
        note=details.note[:255],
        run=details.run,
        sku=details.sku,
        token_prefix=details.token_prefix,
        occurred_at=occurred_at,
    )
    budget.spent_micro += amount_micro
    if amount_micro > 0:
        application.apply_credit(budget, entry)
    else:
        _give_back(budget, entry)
    return entry


def _give_back(budget: Budget, entry: LedgerEntry) -> None:
    """Undo what the charges owe, return the credit they used, and make credit of what was paid."""
    returned = application.restore(budget, entry)
    application.queue_mirror(budget)
    note = entry.note or "Given back"
    _credit_overpaid(
        budget, str(entry.pk), note, entry.occurred_at, most=-entry.amount_micro - returned
    )


@transaction.atomic
def credit_overpaid(team_id: UUID, key: str, note: str) -> None:
    """Make credit of what is given back beyond what is due. The same key counts once.

    To be called when an invoice has become final: it may have collected what was given back while
    we had not heard of it.
    """
    budget = lock_budget(team_id)
    if not LedgerEntry.objects.filter(source=f"{GIVEN_BACK}{key}").exists():
        _credit_overpaid(budget, key, note, max(now(), budget.period_start))
        budget.save(update_fields=["spent_micro"])


def _credit_overpaid(
    budget: Budget, key: str, note: str, at: datetime, *, most: int | None = None
) -> None:
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
        occurred_at=at,
    )
    budget.spent_micro += paid
    terms = GrantTerms(kind="promo", source=f"refund:{key}", note=note)
    application.create_grant(budget, paid, terms, now())
