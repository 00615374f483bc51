"""Credit grants: granting, revoking, expiring, and the balance."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing.budgets.alerts import notify_credit_event
from billing.budgets.budget import get_budget, lock_budget
from billing.credit import application
from billing.ledger.posting import post_entry
from billing.models import Budget, CreditGrant, LedgerEntry, Subscription
from web.errors import UserError
from web.sse import notify
from web.templatetags.ui import money

Kind = LedgerEntry.Kind
WARN_BEFORE = timedelta(days=7)


class BadCredit(UserError):
    code, status = "bad_credit", 400


@transaction.atomic
def grant(
    team: Team,
    amount_micro: int,
    *,
    kind: Literal["paid", "promo"],
    source: str,
    note: str,
    expires_at: datetime | None = None,
    priority: int = 50,
    by: User | None = None,
) -> CreditGrant:
    """Give a team credit. The same source twice is one grant. Raises BadCredit."""
    created = CreditGrant(
        kind=kind,
        granted_micro=amount_micro,
        source=source,
        note=note.strip()[:255],
        expires_at=expires_at,
        priority=priority,
    )
    _validate_grant(created)
    budget = lock_budget(team.pk)
    existing = CreditGrant.objects.filter(source=source).first()
    if existing is not None:
        if (existing.team_id, existing.granted_micro) != (team.pk, amount_micro):
            raise BadCredit(
                "This source was granted before with another amount or to another team."
            )
        return existing
    application.create_grant(budget, created)
    until = f", valid until {expires_at:%Y-%m-%d}" if expires_at else ""
    sentence = f"{money(amount_micro)} of credit was added: {created.note}{until}."
    key = f"credit.granted:{created.pk}"
    notify_credit_event("credit.granted", created, sentence, key=key, micro=amount_micro)
    notify(f"team:{team.pk}")  # The models process looks at what may be spent.
    audit.record(team, by, "credit.granted", source, micro=amount_micro, reason=created.note)
    return created


def _validate_grant(grant: CreditGrant) -> None:
    if grant.granted_micro <= 0:
        raise BadCredit("Credit is an amount above zero.", param="amount")
    if not grant.note:
        raise BadCredit("Credit needs a reason that the customer will read.", param="note")
    if not 0 <= grant.priority <= 100:
        raise BadCredit("A priority is a number from 0 (used first) to 100.", param="priority")
    if grant.expires_at is not None and grant.expires_at <= now():
        raise BadCredit("Credit cannot expire in the past.", param="expires_at")


@transaction.atomic
def revoke(source: str, note: str, *, amount_micro: int | None = None, key: str = "") -> int:
    """Undo a grant whose payment was refunded or disputed; micro-USD taken, 0 if done before.

    What was used already is charged on the next invoice; without a subscription it is a debt:
    the balance is negative, running work stops and nothing starts until new credit settles it.
    For a part, give its amount and a `key` of its own.
    """
    credit = CreditGrant.objects.get(source=source)
    budget = lock_budget(credit.team_id)
    credit.refresh_from_db()
    name = f"take-back:{credit.pk}:{key}" if key else f"take-back:{credit.pk}"
    if LedgerEntry.objects.filter(source=name).exists():
        return 0
    removed = LedgerEntry.objects.filter(about=credit.about, kind__in=[Kind.EXPIRY, Kind.TAKE_BACK])
    possible = credit.granted_micro - removed.total_micro()
    amount = possible if amount_micro is None else min(possible, amount_micro)
    if amount <= 0:
        return 0
    entry = LedgerEntry.objects.create(
        team_id=credit.team_id,
        kind=Kind.TAKE_BACK,
        amount_micro=amount,
        source=name,
        about=credit.about,
        note=note.strip()[:255],
    )
    own = min(credit.left_micro, amount)
    if own:
        application.apply_grant(credit, entry, own)
    # The rest is settled from other credit; what none covers is a debt.
    budget.debt_micro += application.apply_credit(budget, entry, amount - own)
    budget.save(update_fields=["debt_micro"])
    notify(f"team:{budget.pk}")
    charge_debt(budget)
    application.queue_mirror(budget)
    audit.record(budget.team, None, "credit.taken_back", source, micro=amount, reason=note)
    return amount


def charge_debt(budget: Budget) -> None:
    """Put credit that was used and taken back on the next invoice of a team that gets invoices."""
    debt, subscription = budget.debt_micro, Subscription.objects.in_force().filter(team=budget.pk)
    if not debt or not subscription.exists():
        return
    latest = LedgerEntry.objects.filter(team=budget.pk, kind=Kind.TAKE_BACK).order_by("-pk")[0]
    note = f"Credit that was used and then taken back: {latest.note}"[:255]
    source = f"debt:{latest.pk}:{debt}"
    charge = LedgerEntry(kind=Kind.ADJUSTMENT, amount_micro=debt, source=source, note=note)
    post_entry(budget, charge)
    budget.spent_micro -= debt  # The cap counted it when it was used.
    budget.save(update_fields=["spent_micro"])
    paid = CreditGrant(kind="paid", granted_micro=debt, source=source, note=note)
    application.create_grant(budget, paid)


def credit_balance_micro(team: Team) -> int:
    """Micro-USD of unexpired credit left; negative when used credit was taken back."""
    left = CreditGrant.objects.filter(team=team).usable(now()).total_left_micro()
    return left - get_budget(team).debt_micro


def expire_due() -> int:
    """Book back what is left of every grant whose time is over; returns how many. Repeatable."""
    due = CreditGrant.objects.filter(expires_at__lte=now(), left_micro__gt=0)
    return sum(_expire_grant(pk, team_id) for pk, team_id in due.values_list("pk", "team_id"))


@transaction.atomic
def _expire_grant(grant_id: int, team_id: UUID) -> bool:
    budget = lock_budget(team_id)
    credit = CreditGrant.objects.select_related("team").get(pk=grant_id)
    if not credit.left_micro:
        return False
    entry = application.expire_grant(credit)
    application.queue_mirror(budget)
    sentence = f"{money(entry.amount_micro)} of credit expired: {credit.note}."
    key = f"credit.expired:{entry.source}"
    notify_credit_event("credit.expired", credit, sentence, key=key, micro=entry.amount_micro)
    return True


def warn_of_expiry() -> int:
    """Notify once of each grant that expires within a week; returns how many expire."""
    soon = CreditGrant.objects.usable(now()).filter(expires_at__lte=now() + WARN_BEFORE)
    for credit in soon.select_related("team"):
        sentence = (
            f"{money(credit.left_micro)} of credit expires on {credit.expires_at:%Y-%m-%d}: "
            f"{credit.note}."
        )
        key = f"credit.expiring:{credit.pk}"
        notify_credit_event("credit.expiring", credit, sentence, key=key, micro=credit.left_micro)
    return len(soon)
