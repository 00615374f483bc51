"""The credit that plans include, where no Stripe says that a month was paid for.

With Stripe, credit follows each paid invoice (billing.webhooks.invoices). Without it, whoever runs
this installation gives teams their plans, and each calendar month brings the plan's credit.
"""

from uuid import UUID

from django.db import transaction

from billing import budget as budgets
from billing import credits
from billing import stripe_gateway as gateway
from billing.models import Budget, CreditGrant
from billing.months import this_month

PRIORITY = 10  # Used before any credit that lasts longer.


def grant_due() -> int:
    """Give every team this month's credit, once; returns how many got it now. Repeatable."""
    if gateway.is_on():
        return 0
    entitled = Budget.objects.filter(plan__included_micro__gt=0)
    return sum(_grant(team_id) for team_id in entitled.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def _grant(team_id: UUID) -> bool:
    """A plan that is changed within the month changes the next month's credit."""
    month, budget = this_month(), budgets.lock(team_id)
    source = f"plan:{team_id}:{month.code}"
    if not budget.plan.included_micro or CreditGrant.objects.filter(source=source).exists():
        return False
    credits.grant(
        budget.team,
        budget.plan.included_micro,
        kind="promo",
        source=source,
        note=f"Included in the {budget.plan.name} plan",
        expires_at=month.end,
        priority=PRIORITY,
    )
    return True
