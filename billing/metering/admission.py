"""Whether a team's money allows a new run to start now, and if not, why."""

from django.conf import settings
from django.utils.timezone import now

from billing.budgets import alerts
from billing.models import Budget, Rate
from billing.money import affordable_ms

ALMOST_SPENT_PERCENT = 90
HOUR_MS = 3_600_000


def admission_refusal(budget: Budget, sku: str, devices: int) -> str:
    """Why a run of this SKU should wait, "" when it may start.

    From 90 % of the cap on, nothing starts that could not run for an hour. That the cap is
    reached altogether is metering's to say.
    """
    if budget.held_at is not None:
        return f"this team is on hold: {budget.hold_reason}"
    if budget.debt_micro:
        return "credit that was used has been taken back; add credit to go on"
    if budget.lacks_card and budget.is_prepaid and not budget.left_micro:
        return "the credit is used up and there is no card; add credit or choose a plan to go on"
    if alerts.percent_of_cap_spent(budget) < ALMOST_SPENT_PERCENT:
        return ""
    left = budget.available_micro(now())
    rate = Rate.objects.current(sku)
    paid_ms = None if left is None else affordable_ms(left, rate.nano_per_unit, devices)
    if paid_ms is None or paid_ms >= HOUR_MS or paid_ms < settings.HEARTBEAT_SECONDS * 1000:
        return ""
    minutes = paid_ms // 60_000
    return (
        f"{ALMOST_SPENT_PERCENT}% of the spend cap is used and what is left pays for "
        f"{minutes} min; no job starts that cannot run an hour. Raise the cap to start it"
    )
