"""What the month will cost if it goes on like yesterday and today."""

from datetime import UTC, datetime, timedelta

from django.db.models import Sum
from django.utils.timezone import now

from billing.models import Budget, UsageDay
from billing.months import this_month

LEAST_WATCHED = timedelta(hours=24)  # An hour's rush says little about a month.


def forecast_micro(budget: Budget) -> int:
    """Spent so far, plus the burn rate since yesterday began times what is left of the month."""
    moment = now().astimezone(UTC)
    left = this_month().end - moment
    watched = max(LEAST_WATCHED, moment - _yesterday(moment))
    recent: int = (
        UsageDay.objects.filter(team=budget.pk, day__gte=_yesterday(moment).date()).aggregate(
            total=Sum("amount_micro")
        )["total"]
        or 0
    )
    second = timedelta(seconds=1)
    return max(0, budget.spent_micro) + recent * (left // second) // (watched // second)


def _yesterday(moment: datetime) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=1)
