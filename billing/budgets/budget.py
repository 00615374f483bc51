"""The one row per team that everything which spends locks first."""

from uuid import UUID

from django.conf import settings

from accounts.models import Team
from billing.models import Budget
from billing.months import Month, this_month
from web.browser.page_memo import once_per_page

DEFAULT_PLAN = "free"


@once_per_page
def get_budget(team: Team) -> Budget:
    """The team's budget of this month, created on first use. Not locked."""
    row = Budget.objects.select_related("plan").filter(pk=team.pk)
    budget = row.first()
    if budget is None:
        _create(team.pk)
        budget = row.get()
    _start_period(budget, this_month())  # Saved by the next spending.
    return budget


def lock_budget(team_id: UUID) -> Budget:
    """The team's budget, locked until the transaction ends and rolled over to this month.

    Always lock this before any metered run of the team: any other order can deadlock.
    """
    row = Budget.objects.select_for_update(of=("self",)).select_related("plan").filter(pk=team_id)
    budget = row.first()
    if budget is None:
        _create(team_id)
        budget = row.get()
    roll_over(budget, this_month())
    return budget


def roll_over(budget: Budget, month: Month) -> None:
    """Count the spending of `month` from now on, unless it is counted already. Call under lock."""
    if _start_period(budget, month):
        budget.save(update_fields=["period_start", "spent_micro", "last_alerted_percent"])


def _start_period(budget: Budget, month: Month) -> bool:
    if budget.period_start >= month.start:
        return False
    budget.period_start, budget.spent_micro, budget.last_alerted_percent = month.start, 0, 0
    return True


def _create(team_id: UUID) -> None:
    budget = Budget(
        team_id=team_id,
        plan_id=DEFAULT_PLAN,
        cap_micro=settings.DEFAULT_CAP_MICRO,
        period_start=this_month().start,
    )
    # Another request may have created it this instant.
    Budget.objects.bulk_create([budget], ignore_conflicts=True)
