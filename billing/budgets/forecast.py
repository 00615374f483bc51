"""What the month will cost if it goes on like yesterday and today."""

from collections.abc import Mapping
from datetime import date, timedelta

from django.utils.timezone import now

from billing.models import Budget, UsageDay
from billing.months import start_of_day, this_month

MIN_OBSERVATION = timedelta(hours=24)  # An hour's rush says little about a month.


def forecast_micro(budget: Budget, charges_by_day: Mapping[date, int] | None = None) -> int:
    """Spent so far, plus the burn rate since yesterday began times what is left of the month.

    `charges_by_day` are those of the present month, where they are known already.
    """
    moment = now()
    yesterday = start_of_day(moment) - timedelta(days=1)
    left = this_month().end - moment
    watched = max(MIN_OBSERVATION, moment - yesterday)
    first = yesterday.date()
    if charges_by_day is not None and yesterday >= this_month().start:
        recent = sum(micro for day, micro in charges_by_day.items() if day >= first)
    else:
        days = UsageDay.objects.filter(team=budget.pk, day__gte=first)
        recent = days.total_micro()
    second = timedelta(seconds=1)
    return max(0, budget.spent_micro) + recent * (left // second) // (watched // second)
