"""Changing what a team may spend in a month."""

from django.db import transaction

from accounts import audit
from accounts.access import require
from accounts.models import Team, User
from billing import budget as budgets
from billing import notices
from web.live import notify


@transaction.atomic
def set_cap(team: Team, user: User, cap_micro: int | None) -> None:
    """A new cap in micro-USD, None for none. Running jobs meet it at their next heartbeat."""
    require(user, team, "billing")
    change_cap(team, cap_micro, by=user)


@transaction.atomic
def change_cap(team: Team, cap_micro: int | None, *, by: User, reason: str = "") -> None:
    """The same by an operator, who needs no role in the team. The caller has checked the right."""
    budget = budgets.lock(team.pk)
    before, budget.cap_micro = budget.cap_micro, cap_micro
    budget.told_percent = 0  # Shares of another cap are news again.
    budget.save(update_fields=["cap_micro", "told_percent"])
    notices.look(budget)
    notify(f"team:{team.pk}")  # The models process looks at the new cap at once.
    facts = {"old_micro": before, "new_micro": cap_micro} | ({"reason": reason} if reason else {})
    audit.record(team, by, "cap.changed", team.name, **facts)
