"""Looking over all budgets: who will not get through the month, who spends as never before."""

from datetime import UTC, timedelta
from statistics import median_low
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils.timezone import now

from accounts.models import Team
from accounts.notices import tell
from billing import budget as budgets
from billing.forecast import forecast_micro
from billing.holding import hold
from billing.models import Budget, UsageDay
from billing.months import this_month
from billing.notices import period_key, usage_url
from web.templatetags.ui import money

LOOK_BACK = timedelta(days=28)
LEAST_DAYS = 5  # Days with usage before anything counts as unusual; until then the cap protects.


def warn_of_overspending() -> int:
    """Tell every team, once a month, that goes on towards more than its cap; how many were told."""
    spending = Budget.objects.filter(
        period_start=this_month().start, spent_micro__gt=0, cap_micro__gt=0
    )
    return sum(_warn(team_id) for team_id in spending.values_list("pk", flat=True))


@transaction.atomic
def _warn(team_id: UUID) -> bool:
    budget = budgets.lock(team_id)
    cap, expected = budget.cap_micro, forecast_micro(budget)
    if cap is None or expected <= cap or budget.spent_micro >= cap:
        return False
    sentence = (
        f"At the rate of yesterday and today this month will cost about {money(expected)}; the "
        f"spend cap is {money(cap)}. Work pauses there."
    )
    event = "budget.forecast_over"
    tell(budget.team, event, sentence, url=usage_url(budget), key=period_key(event, budget))
    return True


def hold_unusual() -> int:
    """Hold every team whose day costs many times its usual one; returns how many."""
    if not settings.ANOMALY_FACTOR:
        return 0
    today = now().astimezone(UTC).date()
    calm = Q(held_at__isnull=False) | Q(calm_until__gt=now())
    spending = (
        UsageDay.objects.filter(day=today)
        .exclude(team__in=Budget.objects.filter(calm).values("team"))
        .values("team")
        .annotate(spent=Sum("amount_micro"))
        .filter(spent__gt=settings.ANOMALY_FLOOR_MICRO)
    )
    return sum(_hold_if_unusual(row["team"], row["spent"]) for row in spending.order_by())


def _hold_if_unusual(team_id: UUID, spent_micro: int) -> bool:
    usual = usual_day_micro(team_id)
    if usual is None or spent_micro <= usual * settings.ANOMALY_FACTOR:
        return False
    reason = (
        f"today's usage of {money(spent_micro)} is more than {settings.ANOMALY_FACTOR} times the "
        f"usual {money(usual)} a day."
    )
    return hold(Team.objects.get(pk=team_id), reason)


def usual_day_micro(team_id: UUID) -> int | None:
    """The median over the last weeks' days with usage, today left out; None for too few days."""
    today = now().astimezone(UTC).date()
    days = (
        UsageDay.objects.filter(team=team_id, day__lt=today, day__gte=today - LOOK_BACK)
        .values("day")
        .annotate(spent=Sum("amount_micro"))
        .filter(spent__gt=0)
        .order_by()
    )
    amounts = [row["spent"] for row in days]
    return median_low(amounts) if len(amounts) >= LEAST_DAYS else None
