"""The one row per team that everything which spends locks first."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.timezone import now

from accounts.models import Team
from billing.models import Budget

DEFAULT_PLAN = "free"


def month_start(moment: datetime) -> datetime:
    """The first moment of the month (UTC) that `moment` falls in."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def of(team: Team) -> Budget:
    """The team's budget of this month, created on first use. Not locked."""
    row = Budget.objects.select_related("plan").filter(pk=team.pk)
    budget = row.first()
    if budget is None:
        _create(team.pk)
        budget = row.get()
    if budget.period_start < month_start(now()):  # Rolled over for real at the next spending.
        budget.period_start, budget.spent_micro = month_start(now()), 0
        budget.told_percent = 0
    return budget


def lock(team_id: UUID) -> Budget:
    """The team's budget, locked until the transaction ends and rolled over to this month.

    Always lock this before any metered run of the team: any other order can deadlock.
    """
    row = Budget.objects.select_for_update(of=("self",)).select_related("plan").filter(pk=team_id)
    budget = row.first()
    if budget is None:
        _create(team_id)
        budget = row.get()
    current = month_start(now())
    if budget.period_start < current:
        budget.period_start, budget.spent_micro, budget.told_percent = current, 0, 0
        budget.save(update_fields=["period_start", "spent_micro", "told_percent"])
    return budget


def _create(team_id: UUID) -> None:
    budget = Budget(
        team_id=team_id,
        plan_id=DEFAULT_PLAN,
        cap_micro=settings.DEFAULT_CAP_MICRO,
        period_start=month_start(now()),
    )
    # Another request may have created it this instant.
    Budget.objects.bulk_create([budget], ignore_conflicts=True)
