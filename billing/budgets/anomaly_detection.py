"""Finding teams that will exceed their cap, and teams that spend many times their usual amount."""

from datetime import timedelta
from statistics import median_low
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils.timezone import now

from accounts.models import Team
from accounts.notifications.publish import publish
from billing.budgets.alerts import period_key, usage_url
from billing.budgets.budget import lock_budget
from billing.budgets.forecast import forecast_micro
from billing.budgets.holds import place_hold
from billing.models import Budget, UsageDay
from billing.months import start_of_day, this_month
from web.templatetags.ui import money

LOOKBACK = timedelta(days=28)
# Days with usage before anything counts as unusual; until then the cap protects.
MIN_BASELINE_DAYS = 5


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


def hold_anomalous_teams() -> int:
    """Hold every team whose day costs many times its usual one; returns how many."""
    if not settings.ANOMALY_FACTOR:
        return 0
    today = start_of_day(now()).date()
    exempt = Q(held_at__isnull=False) | Q(hold_exempt_until__gt=now())
    spending = (
        UsageDay.objects.filter(day=today)
        .exclude(team__in=Budget.objects.filter(exempt).values("team"))
        .values("team")
        .annotate(spent=Sum("amount_micro"))
        .filter(spent__gt=settings.ANOMALY_FLOOR_MICRO)
    )
    return sum(_hold_if_anomalous(row["team"], row["spent"]) for row in spending.order_by())


def _hold_if_anomalous(team_id: UUID, spent_micro: int) -> bool:
    usual = median_daily_micro(team_id)
    if usual is None or spent_micro <= usual * settings.ANOMALY_FACTOR:
        return False
    reason = (
        f"today's usage of {money(spent_micro)} is more than {settings.ANOMALY_FACTOR} times the "
        f"usual {money(usual)} a day."
    )
    return place_hold(Team.objects.get(pk=team_id), reason)


def median_daily_micro(team_id: UUID) -> int | None:
    """The median over the last weeks' days with usage, today left out; None for too few days."""
    today = start_of_day(now()).date()
    days = (
        UsageDay.objects.filter(team=team_id, day__lt=today, day__gte=today - LOOKBACK)
        .values("day")
        .annotate(spent=Sum("amount_micro"))
        .filter(spent__gt=0)
        .order_by()
    )
    amounts = [row["spent"] for row in days]
    return median_low(amounts) if len(amounts) >= MIN_BASELINE_DAYS else None
