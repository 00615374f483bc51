"""What the month will cost if it goes on like yesterday and today."""

from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

from django.core.cache import cache
from django.db import transaction
from django.utils.timezone import now

from accounts.notifications.publish import publish
from billing.budgets.alerts import period_key, usage_url
from billing.budgets.budget import lock_budget
from billing.models import Budget, UsageDay
from billing.months import start_of_day, this_month
from web.templatetags.ui import money

CACHED_SECONDS = 600
MIN_OBSERVATION = timedelta(hours=24)  # An hour's rush says little about a month.


def forecast_micro(budget: Budget, charges_by_day: Mapping[date, int] | None = None) -> int:
    """Spent so far, plus the burn rate since yesterday began times what is left of the month.

    `charges_by_day` are those of the present month, where they are known already.
    """
    moment, month = now(), this_month()
    yesterday = start_of_day(moment) - timedelta(days=1)
    first = yesterday.date()
    if charges_by_day is None:
        recent = UsageDay.objects.filter(team=budget.pk, day__gte=first).total_micro()
    else:
        recent = sum(micro for day, micro in charges_by_day.items() if day >= first)
        if yesterday < month.start:
            recent += _charges_of(budget.pk, first)
    left = month.end - moment
    watched = max(MIN_OBSERVATION, moment - yesterday)
    second = timedelta(seconds=1)
    return max(0, budget.spent_micro) + recent * (left // second) // (watched // second)


def _charges_of(team_id: UUID, day: date) -> int:
    """Of a day that is over: what comes late to it may be told some minutes later."""
    charges = UsageDay.objects.filter(team=team_id, day=day)
    found = cache.get_or_set(f"charges:{team_id}:{day}", charges.total_micro, CACHED_SECONDS)
    return int(found or 0)


def warn_of_overspending() -> int:
    """Notify teams that are likely to exceed their cap, once a month; returns how many."""
    spending = Budget.objects.filter(
        period_start=this_month().start, spent_micro__gt=0, cap_micro__gt=0
    )
    return sum(_warn_team(team_id) for team_id in spending.values_list("pk", flat=True))


@transaction.atomic
def _warn_team(team_id: UUID) -> bool:
    budget = lock_budget(team_id)
    cap, expected = budget.cap_micro, forecast_micro(budget)
    if cap is None or expected <= cap or budget.spent_micro >= cap:
        return False
    sentence = (
        f"At the rate of yesterday and today this month will cost about {money(expected)}; the "
        f"spend cap is {money(cap)}. Work pauses there."
    )
    event = "budget.forecast_over"
    publish(budget.team, event, sentence, url=usage_url(budget), key=period_key(event, budget))
    return True
