"""Holds: a team with unusual spending is paused until somebody confirms the spending."""

from datetime import timedelta
from statistics import median_low
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.notifications.publish import publish
from billing.budgets.alerts import usage_url
from billing.budgets.budget import lock_budget
from billing.models import Budget, UsageDay
from billing.months import start_of_day
from web.errors import UserError
from web.sse import notify
from web.templatetags.ui import money

LOOKBACK = timedelta(days=28)
# Days with usage before anything counts as unusual; until then the cap protects.
MIN_BASELINE_DAYS = 5


class BadHold(UserError):
    code, status = "bad_hold", 400


@transaction.atomic
def place_hold(team: Team, reason: str, *, by: User | None = None) -> bool:
    """Nothing of the team may start, and what runs saves and pauses. False if it was on hold."""
    if not reason.strip():
        raise BadHold("A hold needs a reason that the customer will read.", param="reason")
    budget = lock_budget(team.pk)
    if budget.held_at is not None:
        return False
    budget.held_at, budget.hold_reason = now(), reason.strip()[:255]
    _save(budget)
    sentence = (
        f"On hold: {budget.hold_reason} Nothing new starts and running jobs pause. Owners and "
        "admins can release the hold on the Usage & billing page."
    )
    key = f"budget.held:{budget.held_at.isoformat()}"
    publish(team, "budget.held", sentence, url=usage_url(budget), key=key)
    audit.record(team, by, "team.held", team.name, reason=budget.hold_reason)
    return True


@transaction.atomic
def release_hold(team: Team, *, by: User, reason: str = "") -> bool:
    """Lift the hold; it does not come back by itself today. False if there was none."""
    budget = lock_budget(team.pk)
    if budget.held_at is None:
        return False
    budget.held_at, budget.hold_reason = None, ""
    budget.hold_exempt_until = start_of_day(now()) + timedelta(days=1)
    _save(budget)
    audit.record(team, by, "team.released", team.name, reason=reason.strip()[:255])
    return True


def _save(budget: Budget) -> None:
    budget.save(update_fields=["held_at", "hold_reason", "hold_exempt_until"])
    notify(f"team:{budget.pk}")  # The models process asks anew what may be spent.


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
    held = 0
    for team_id, spent_micro in spending.values_list("team", "spent").order_by():
        usual = median_daily_micro(team_id)
        if usual is None or spent_micro <= usual * settings.ANOMALY_FACTOR:
            continue
        reason = (
            f"today's usage of {money(spent_micro)} is more than {settings.ANOMALY_FACTOR} times "
            f"the usual {money(usual)} a day."
        )
        held += place_hold(Team.objects.get(pk=team_id), reason)
    return held


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
