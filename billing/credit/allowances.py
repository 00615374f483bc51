"""Credit that is not sold: what plans include, and free credit for new teams.

With Stripe, a plan's credit follows each paid invoice (billing.stripe.webhooks.invoice_handlers).
Without it, an operator gives teams their plans, and each calendar month brings the plan's credit.
"""

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from accounts.models import Role, User
from billing.budgets.budget import lock_budget
from billing.credit import grants
from billing.models import Budget, CreditGrant, LedgerEntry, Subscription
from billing.money import MICRO_PER_CENT
from billing.months import this_month
from billing.stripe import gateway

ALLOWANCE_PRIORITY = 10  # Used before any credit that lasts longer.
FREE_PRIORITY = 20  # Used before credit that was paid for.


def grant_plan_allowances() -> int:
    """Give every team this month's credit, once; returns how many got it now. Repeatable."""
    if gateway.is_enabled():
        return 0
    entitled = Budget.objects.filter(plan__included_micro__gt=0).order_by("pk")
    return sum(_grant_allowance(team_id) for team_id in entitled.values_list("pk", flat=True))


@transaction.atomic
def _grant_allowance(team_id: UUID) -> bool:
    """A plan that is changed within the month changes the next month's credit."""
    month, budget = this_month(), lock_budget(team_id)
    source = f"plan:{team_id}:{month.code}"
    if not budget.plan.included_micro or CreditGrant.objects.filter(source=source).exists():
        return False
    grants.grant(
        budget.team,
        budget.plan.included_micro,
        kind="promo",
        source=source,
        note=f"Included in the {budget.plan.name} plan",
        expires_at=month.end,
        priority=ALLOWANCE_PRIORITY,
    )
    return True


def take_back_unused(budget: Budget, before: Subscription, after: Subscription) -> int:
    """Take back included credit for the time that a cheaper plan leaves, as its fee is prorated.

    A change gives back the fee of the rest of the period, so the credit of that rest goes as well,
    used or not. When the subscription ends early, only what is left goes. A team that upgraded
    within the period and downgrades again keeps the credit that the time on the better plan is
    worth. Returns micro-USD.
    """
    moment, end = now(), before.period_end
    grant = (
        CreditGrant.objects.filter(
            team=budget.pk, source__startswith="plan:in", granted_at__gte=before.period_start
        )
        .order_by("-pk")
        .first()
    )
    if grant is None or moment >= end:
        return 0
    taken = LedgerEntry.objects.filter(about=grant.about, kind=LedgerEntry.Kind.TAKE_BACK)
    kept, included = grant.granted_micro - taken.total_micro(), before.plan.included_micro
    entitled = after.plan.included_micro if after.is_in_force else 0
    seconds = (end - max(moment, before.period_start)).total_seconds()
    share = seconds / (end - before.period_start).total_seconds()
    worth = included * (1 - share) + entitled * share
    excess = min((min(included, kept) - entitled) * share, kept - worth)
    excess = int(excess) // MICRO_PER_CENT * MICRO_PER_CENT
    if not after.is_in_force:
        excess = min(excess, grant.left_micro)
    if excess <= 0:
        return 0
    name = after.plan.name if after.is_in_force else "no"
    note = f"Included credit of the rest of the period, after the change to the {name} plan"
    key = f"{after.plan_id}:{int(moment.timestamp())}"
    return grants.revoke(grant.source, note, amount_micro=excess, key=key)


@transaction.atomic
def grant_free_credit(user: User) -> CreditGrant | None:
    """Give the first team that the person owns free credit, once for a person.

    This replaces postpaid use for teams without a card. Where addresses must be confirmed, the
    credit waits for that: otherwise made-up addresses would collect it.
    """
    is_known = user.has_confirmed_email or not settings.REQUIRE_VERIFIED_EMAIL
    source = f"free:{user.pk}"
    if not settings.FREE_CREDIT_MICRO or not is_known:
        return None
    if CreditGrant.objects.filter(source=source).exists():
        return None
    owned = user.memberships.filter(role=Role.OWNER).select_related("team").order_by("joined_at")
    first = owned.first()
    if first is None:
        return None
    return grants.grant(
        first.team,
        settings.FREE_CREDIT_MICRO,
        kind="promo",
        source=source,
        note="Free credit to begin with",
        priority=FREE_PRIORITY,
    )
