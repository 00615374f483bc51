"""Changing what a team may spend in a month."""

from django.db import transaction

from accounts import audit
from accounts.access import require
from accounts.models import Team, User
from billing import budget as budgets
from web.live import notify


@transaction.atomic
def set_cap(team: Team, user: User, cap_micro: int | None) -> None:
    """A new cap in micro-USD, None for none. Running jobs meet it at their next heartbeat."""
    require(user, team, "billing")
    budget = budgets.lock(team.pk)
    before, budget.cap_micro = budget.cap_micro, cap_micro
    budget.save(update_fields=["cap_micro"])
    notify(f"team:{team.pk}")  # The models process looks at the new cap at once.
    audit.record(team, user, "cap.changed", team.name, old_micro=before, new_micro=cap_micro)
