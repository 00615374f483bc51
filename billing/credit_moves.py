"""How credit moves: opened, used by a charge, put back by a refund, expired.

Every function wants the team's budget locked. What is left of a grant is what was granted less its
burns, always; a burn never exceeds the entry it settles.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max, Q, QuerySet, Sum
from django.utils.timezone import now

from billing.models import Budget, CreditBurn, CreditGrant, LedgerEntry

Kind = LedgerEntry.Kind
REVIVED_FOR = timedelta(days=30)  # Credit put back after its grant expired lives this long.


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a grant is."""

    kind: str
    source: str
    note: str
    expires_at: datetime | None = None
    priority: int = 50


def open_grant(budget: Budget, amount_micro: int, terms: Terms, moment: datetime) -> CreditGrant:
    """The grant and its ledger entry; credit owed from before is settled from it first."""
    grant = CreditGrant.objects.create(
        team_id=budget.pk,
        kind=terms.kind,
        granted_micro=amount_micro,
        left_micro=amount_micro,
        priority=terms.priority,
        source=terms.source,
        note=terms.note,
        granted_at=moment,
        expires_at=terms.expires_at,
    )
    _enter(grant, Kind.CREDIT, -amount_micro, f"credit:{grant.pk}", moment)
    _settle_debt(budget, grant, moment)
    return grant


def burn(budget: Budget, entry: LedgerEntry) -> int:
    """Settle as much of a charge as credit covers, in burn order; returns how much that was."""
    uncovered = entry.amount_micro
    usable = CreditGrant.objects.filter(team=budget.pk).usable(now())
    for grant in usable.in_burn_order():
        part = min(grant.left_micro, uncovered)
        use(grant, entry, part)
        uncovered -= part
        if not uncovered:
            break
    return entry.amount_micro - uncovered


def use(grant: CreditGrant, entry: LedgerEntry, amount_micro: int) -> None:
    """Take from a grant for an entry; a negative amount puts back."""
    CreditBurn.objects.create(
        team_id=grant.team_id,
        grant=grant,
        entry=entry,
        amount_micro=amount_micro,
        occurred_at=entry.occurred_at,
    )
    grant.left_micro -= amount_micro
    grant.save(update_fields=["left_micro"])


def put_back(budget: Budget, entry: LedgerEntry) -> int:
    """Return credit that the charges undone by a negative entry had used, last used first.

    What those charges owe beyond credit is undone first. Returns how much credit came back.
    """
    charged, burned = _of_cause(budget, entry)
    used_micro = burned.aggregate(total=Sum("amount_micro"))["total"] or 0
    back = total = max(0, min(used_micro, used_micro - charged - entry.amount_micro))
    by_grant = burned.values("grant").annotate(used=Sum("amount_micro"), last=Max("pk"))
    for row in by_grant.filter(used__gt=0).order_by("-last"):
        if not back:
            break
        part = min(row["used"], back)
        grant = CreditGrant.objects.get(pk=row["grant"])
        use(grant, entry, -part)
        back -= part
        _revive_if_expired(budget, grant, entry)
    return total - back


def expire(grant: CreditGrant) -> LedgerEntry:
    """Book back what is left of a grant whose time is over, at the moment it was over."""
    assert grant.expires_at is not None
    before = LedgerEntry.objects.filter(about=grant.about, kind=Kind.EXPIRY).count()
    source = f"expiry:{grant.pk}:{before + 1}"
    entry = _enter(grant, Kind.EXPIRY, grant.left_micro, source, grant.expires_at)
    use(grant, entry, grant.left_micro)
    return entry


def _enter(
    grant: CreditGrant, kind: Kind, amount_micro: int, source: str, moment: datetime
) -> LedgerEntry:
    return LedgerEntry.objects.create(
        team_id=grant.team_id,
        kind=kind,
        amount_micro=amount_micro,
        source=source,
        about=grant.about,
        note=grant.note,
        occurred_at=moment,
    )


def _of_cause(budget: Budget, entry: LedgerEntry) -> tuple[int, QuerySet[CreditBurn]]:
    """What the charges behind a negative entry still owe without it, and their burns."""
    mine = Q(team=budget.pk)
    if entry.run_id is not None:
        mine &= Q(run=entry.run_id)
    elif entry.about:
        mine &= Q(about=entry.about)
    entries = LedgerEntry.objects.filter(mine).of_usage().exclude(pk=entry.pk)
    burned = CreditBurn.objects.filter(entry__in=entries)
    return entries.total_micro(), burned


def _revive_if_expired(budget: Budget, grant: CreditGrant, entry: LedgerEntry) -> None:
    moment = now()
    if grant.expires_at is None or grant.expires_at > moment:
        return
    expired = expire(grant)
    terms = Terms(
        kind=grant.kind,
        source=f"revived:{entry.source}:{grant.pk}"[:120],
        note=f"Given back: {grant.note}"[:255],
        expires_at=moment + REVIVED_FOR,
        priority=grant.priority,
    )
    open_grant(budget, expired.amount_micro, terms, moment)


def _settle_debt(budget: Budget, grant: CreditGrant, moment: datetime) -> None:
    """Credit taken back after it was used is paid from whatever is granted next."""
    taken = LedgerEntry.objects.filter(team=budget.pk, kind=Kind.TAKE_BACK)
    for entry in taken.order_by("pk") if budget.debt_micro else ():
        open_micro = entry.amount_micro - entry.burns.all().total_micro()
        part = min(open_micro, grant.left_micro)
        if part:
            use(grant, entry, part)
            budget.debt_micro -= part
    budget.save(update_fields=["debt_micro"])
