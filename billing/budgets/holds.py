"""Holds: a team with unusual spending is paused until somebody confirms the spending."""

from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.notifications.publish import publish
from billing.budgets.alerts import usage_url
from billing.budgets.budget import lock_budget
from billing.models import Budget
from billing.months import start_of_day
from web.errors import UserError
from web.sse import notify


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
