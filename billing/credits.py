"""Credit that teams hold: granting, taking back, expiring, and what is left."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from billing import budget as budgets
from billing import credit_moves
from billing.credit_moves import Terms
from billing.models import Budget, CreditGrant, LedgerEntry
from billing.notices import tell_of_credit
from web.errors import UserError
from web.live import notify
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
    terms = Terms(
        kind=kind, source=source, note=note.strip()[:255], expires_at=expires_at, priority=priority
    )
    _check(amount_micro, terms)
    budget = budgets.lock(team.pk)
    if (known := CreditGrant.objects.filter(source=source).first()) is not None:
        return _same(known, team, amount_micro)
    given = credit_moves.open_grant(budget, amount_micro, terms, now())
    until = f", valid until {expires_at:%Y-%m-%d}" if expires_at else ""
    sentence = f"{money(amount_micro)} of credit was added: {terms.note}{until}."
    key = f"credit.granted:{given.pk}"
    tell_of_credit("credit.granted", given, sentence, key=key, micro=amount_micro)
    notify(f"team:{team.pk}")  # The models process looks at what may be spent.
    audit.record(team, by, "credit.granted", source, micro=amount_micro, reason=terms.note)
    return given


def _check(amount_micro: int, terms: Terms) -> None:
    if amount_micro <= 0:
        raise BadCredit("Credit is an amount above zero.", param="amount")
    if not terms.note:
        raise BadCredit("Credit needs a reason that the customer will read.", param="note")
    if not 0 <= terms.priority <= 100:
        raise BadCredit("A priority is a number from 0 (used first) to 100.", param="priority")
    if terms.expires_at is not None and terms.expires_at <= now():
        raise BadCredit("Credit cannot expire in the past.", param="expires_at")


def _same(known: CreditGrant, team: Team, amount_micro: int) -> CreditGrant:
    if (known.team_id, known.granted_micro) != (team.pk, amount_micro):
        raise BadCredit("This source was granted before with another amount or to another team.")
    return known


@transaction.atomic
def take_back(source: str, note: str, *, amount_micro: int | None = None, key: str = "") -> int:
    """Undo a grant whose payment was refunded or disputed; micro-USD taken, 0 if done before.

    What was used already becomes a debt: the balance is negative, running work stops and nothing
    starts until new credit settles it. For a part, give its amount and a `key` of its own.
    Raises CreditGrant.DoesNotExist for an unknown source.
    """
    given = CreditGrant.objects.get(source=source)
    budget = budgets.lock(given.team_id)
    given.refresh_from_db()
    name = f"take-back:{given.pk}:{key}" if key else f"take-back:{given.pk}"
    if LedgerEntry.objects.filter(source=name).exists():
        return 0
    gone = LedgerEntry.objects.filter(about=given.about, kind__in=[Kind.EXPIRY, Kind.TAKE_BACK])
    possible = given.granted_micro - gone.total_micro()
    amount = possible if amount_micro is None else min(possible, amount_micro)
    if amount <= 0:
        return 0
    entry = LedgerEntry.objects.create(
        team_id=given.team_id,
        kind=Kind.TAKE_BACK,
        amount_micro=amount,
        source=name,
        about=given.about,
        note=note.strip()[:255],
    )
    own = min(given.left_micro, amount)
    if own:
        credit_moves.use(given, entry, own)
    _owe(budget, entry, amount - own)
    audit.record(budget.team, None, "credit.taken_back", source, micro=amount, reason=note)
    return amount


def _owe(budget: Budget, entry: LedgerEntry, amount_micro: int) -> None:
    """Settle the rest of a take-back from other credit; what none covers is a debt."""
    usable = CreditGrant.objects.filter(team=budget.pk).usable(now())
    for other in usable.in_burn_order():
        part = min(other.left_micro, amount_micro)
        if part:
            credit_moves.use(other, entry, part)
        amount_micro -= part
    budget.debt_micro += amount_micro
    budget.save(update_fields=["debt_micro"])
    notify(f"team:{budget.pk}")


def balance(team: Team) -> int:
    """Micro-USD of unexpired credit left; negative when used credit was taken back."""
    left = CreditGrant.objects.filter(team=team).usable(now()).left()
    return left - budgets.of(team).debt_micro


def expire_due() -> int:
    """Book back what is left of every grant whose time is over; returns how many. Repeatable."""
    due = CreditGrant.objects.filter(expires_at__lte=now(), left_micro__gt=0)
    return sum(_expire(pk, team_id) for pk, team_id in due.values_list("pk", "team_id"))


@transaction.atomic
def _expire(grant_id: int, team_id: UUID) -> bool:
    budgets.lock(team_id)
    given = CreditGrant.objects.select_related("team").get(pk=grant_id)
    if not given.left_micro:
        return False
    entry = credit_moves.expire(given)
    sentence = f"{money(entry.amount_micro)} of credit expired: {given.note}."
    key = f"credit.expired:{entry.source}"
    tell_of_credit("credit.expired", given, sentence, key=key, micro=entry.amount_micro)
    return True


def warn_of_expiry() -> int:
    """Say once of each grant that it will expire within a week; returns how many were told of."""
    soon = CreditGrant.objects.usable(now()).filter(expires_at__lte=now() + WARN_BEFORE)
    for given in soon.select_related("team"):
        sentence = (
            f"{money(given.left_micro)} of credit expires on {given.expires_at:%Y-%m-%d}: "
            f"{given.note}."
        )
        key = f"credit.expiring:{given.pk}"
        tell_of_credit("credit.expiring", given, sentence, key=key, micro=given.left_micro)
    return len(soon)
