"""Holds: unusual spending stops a team until somebody says that it is meant."""

from datetime import UTC, timedelta

from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import Team, User
from accounts.notices import tell
from billing import budget as budgets
from billing.models import Budget
from billing.notices import usage_url
from web.errors import UserError
from web.live import notify


class BadHold(UserError):
    code, status = "bad_hold", 400


@transaction.atomic
def hold(team: Team, reason: str, *, by: User | None = None) -> bool:
    """Nothing of the team may start, and what runs saves and pauses. False if it was on hold."""
    if not reason.strip():
        raise BadHold("A hold needs a reason that the customer will read.", param="reason")
    budget = budgets.lock(team.pk)
    if budget.held_at is not None:
        return False
    budget.held_at, budget.hold_reason = now(), reason.strip()[:255]
    _save(budget)
    sentence = (
        f"On hold: {budget.hold_reason} Nothing new starts and running jobs pause. Owners and "
        "admins can release the hold on the Usage & billing page."
    )
    key = f"budget.held:{budget.held_at.isoformat()}"
    tell(team, "budget.held", sentence, url=usage_url(budget), key=key)
    audit.record(team, by, "team.held", team.name, reason=budget.hold_reason)
    return True


@transaction.atomic
def release(team: Team, *, by: User, reason: str = "") -> bool:
    """Lift the hold; it does not come back by itself today. False if there was none."""
    budget = budgets.lock(team.pk)
    if budget.held_at is None:
        return False
    midnight = now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    budget.held_at, budget.hold_reason = None, ""
    budget.calm_until = midnight + timedelta(days=1)
    _save(budget)
    audit.record(team, by, "team.released", team.name, reason=reason.strip()[:255])
    return True


def _save(budget: Budget) -> None:
    budget.save(update_fields=["held_at", "hold_reason", "calm_until"])
    notify(f"team:{budget.pk}")  # The models process asks anew what may be spent.
