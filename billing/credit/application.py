"""Moving credit: creating a grant, applying it to a charge, restoring it by a refund, expiring it.

Call every function with the team's budget locked. What is left of a grant is always what was
granted less its burns; a burn never exceeds the entry it settles.
"""

from datetime import datetime

from django.db.models import Max, Q, Sum
from django.utils.timezone import now

from billing.credit.open_usage import open_due_micro, settle_open_usage
from billing.models import Budget, CreditBurn, CreditGrant, LedgerEntry, StripeCustomer
from web.enqueue import enqueue_on_commit

Kind = LedgerEntry.Kind


def create_grant(budget: Budget, grant: CreditGrant) -> None:
    """Save a new grant and its entry. It settles what is owed from before, then open usage."""
    grant.team_id, grant.granted_at = budget.pk, now()
    grant.left_micro = grant.granted_micro
    grant.save(force_insert=True)
    source = f"credit:{grant.pk}"
    _post_credit_entry(grant, Kind.CREDIT, -grant.granted_micro, source, grant.granted_at)
    # Credit taken back after it was used is paid from whatever is granted next.
    taken = LedgerEntry.objects.filter(team=budget.pk, kind=Kind.TAKE_BACK)
    for entry in taken.order_by("pk") if budget.debt_micro else ():
        open_micro = entry.amount_micro - entry.burns.all().total_micro()
        part = min(open_micro, grant.left_micro)
        if part:
            apply_grant(grant, entry, part)
            budget.debt_micro -= part
    budget.save(update_fields=["debt_micro"])
    settle_open_usage(budget, grant)
    queue_mirror(budget)


def queue_mirror(budget: Budget) -> None:
    """Have Stripe's credit follow the ledger's (billing.stripe.credit), once this is committed."""
    if StripeCustomer.objects.filter(pk=budget.pk).update(credit_changed_at=now()):
        enqueue_on_commit("billing.tasks.mirror_credit")


def apply_credit(budget: Budget, entry: LedgerEntry, most: int | None = None) -> int:
    """Settle an entry, or `most` of it, from credit in burn order; returns what none covers."""
    uncovered = entry.amount_micro if most is None else most
    usable = CreditGrant.objects.filter(team=budget.pk).usable(now())
    for grant in usable.in_burn_order() if uncovered else ():
        part = min(grant.left_micro, uncovered)
        apply_grant(grant, entry, part)
        uncovered -= part
        if not uncovered:
            break
    return uncovered


def apply_grant(grant: CreditGrant, entry: LedgerEntry, amount_micro: int) -> None:
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


def restore(budget: Budget, entry: LedgerEntry) -> int:
    """Return credit that the charges undone by a negative entry had used, last used first.

    What those charges, and all of the open period, owe beyond credit is undone first: Stripe, too,
    takes credit off the whole period. A grant that has expired meanwhile gets nothing back: that
    becomes a new one. Returns how much credit came back.
    """
    mine = Q(team=budget.pk)
    if entry.run_id is not None:
        mine &= Q(run=entry.run_id)
    elif entry.about:
        mine &= Q(about=entry.about)
    entries = LedgerEntry.objects.filter(mine).of_usage().exclude(pk=entry.pk)
    charged, burned = entries.total_micro(), CreditBurn.objects.filter(entry__in=entries)
    owed_less = burned.total_micro() - charged - entry.amount_micro
    back = total = max(0, min(owed_less, -entry.amount_micro, -open_due_micro(budget)))
    valid = burned.filter(Q(grant__expires_at=None) | Q(grant__expires_at__gt=now()))
    by_grant = valid.values("grant").annotate(used=Sum("amount_micro"), last=Max("pk"))
    for row in by_grant.filter(used__gt=0).order_by("-last"):
        if not back:
            break
        grant = CreditGrant.objects.get(pk=row["grant"])
        # An adjustment, which names no charge, may have returned some of it before.
        part = min(row["used"], grant.granted_micro - grant.left_micro, back)
        if part:
            apply_grant(grant, entry, -part)
            back -= part
    return total - back


def expire_grant(grant: CreditGrant) -> LedgerEntry:
    """Book back what is left of a grant whose time is over, at the moment it was over."""
    assert grant.expires_at is not None
    before = LedgerEntry.objects.filter(about=grant.about, kind=Kind.EXPIRY).count()
    source = f"expiry:{grant.pk}:{before + 1}"
    entry = _post_credit_entry(grant, Kind.EXPIRY, grant.left_micro, source, grant.expires_at)
    apply_grant(grant, entry, grant.left_micro)
    return entry


def _post_credit_entry(
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
