"""The one row per team that everything which spends locks first, and its monthly cap."""

from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import Team, User
from accounts.permissions import require_permission
from billing.budgets import alerts
from billing.models import Budget, Subscription
from billing.months import Month, this_month
from web.browser.page_memo import once_per_page
from web.errors import UserError
from web.sse import notify
from web.templatetags.ui import money

DEFAULT_PLAN = "free"


class CapNeedsPaymentMethod(UserError):
    code, status = "cap_needs_payment_method", 409


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


@transaction.atomic
def set_cap(team: Team, user: User, cap_micro: int | None) -> None:
    """A new cap in micro-USD, None for none. Running jobs meet it at their next heartbeat."""
    require_permission(user, team, "billing")
    most = settings.MAX_CAP_WITHOUT_CARD_MICRO
    is_trusted = not most or (cap_micro is not None and cap_micro <= most)
    # What is used beyond credit must be collected from somebody: a subscription has a card.
    if not is_trusted and not Subscription.objects.in_force().filter(team=team).exists():
        raise CapNeedsPaymentMethod(
            f"Without a card the spend cap is {money(most)} a month at most. Choose a plan on the"
            " page Plan & payment first.",
            param="dollars",
        )
    change_cap(team, cap_micro, by=user)


@transaction.atomic
def change_cap(team: Team, cap_micro: int | None, *, by: User, reason: str = "") -> None:
    """The same by an operator, who needs no role in the team. The caller has checked the right."""
    budget = lock_budget(team.pk)
    before, budget.cap_micro = budget.cap_micro, cap_micro
    budget.last_alerted_percent = 0  # The thresholds of a new cap have not been reached yet.
    budget.save(update_fields=["cap_micro", "last_alerted_percent"])
    alerts.notify_thresholds(budget)
    notify(f"team:{team.pk}")  # The models process reads the new cap at once.
    change = {"old_micro": before, "new_micro": cap_micro} | ({"reason": reason} if reason else {})
    audit.record(team, by, "cap.changed", team.name, **change)
