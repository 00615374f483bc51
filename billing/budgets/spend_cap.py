"""Changing what a team may spend in a month."""

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.models import Team, User
from accounts.permissions import require_permission
from billing.budgets import alerts
from billing.budgets.budget import lock_budget
from billing.models import Subscription
from web.errors import UserError
from web.sse import notify
from web.templatetags.ui import money


class CapNeedsPaymentMethod(UserError):
    code, status = "cap_needs_payment_method", 409


@transaction.atomic
def set_cap(team: Team, user: User, cap_micro: int | None) -> None:
    """A new cap in micro-USD, None for none. Running jobs meet it at their next heartbeat.

    Raises CapNeedsPaymentMethod for more than the operator's policy trusts a team without one.
    """
    require_permission(user, team, "billing")
    most = settings.MAX_CAP_WITHOUT_CARD_MICRO
    is_trusted = not most or (cap_micro is not None and cap_micro <= most)
    # What is used beyond credit must be collected from somebody: a subscription has a card.
    if not is_trusted and not Subscription.objects.in_force().filter(team=team).exists():
        raise CapNeedsPaymentMethod(
            f"Without a card the spend cap is {money(most)} a month at most. Choose a plan on the"
            " page Plan & payment first.",
            param="dollars",
        )
    change_cap(team, cap_micro, by=user)


@transaction.atomic
def change_cap(team: Team, cap_micro: int | None, *, by: User, reason: str = "") -> None:
    """The same by an operator, who needs no role in the team. The caller has checked the right."""
    budget = lock_budget(team.pk)
    before, budget.cap_micro = budget.cap_micro, cap_micro
    budget.last_alerted_percent = 0  # The thresholds of a new cap have not been reached yet.
    budget.save(update_fields=["cap_micro", "last_alerted_percent"])
    alerts.notify_thresholds(budget)
    notify(f"team:{team.pk}")  # The models process reads the new cap at once.
    change = {"old_micro": before, "new_micro": cap_micro} | ({"reason": reason} if reason else {})
    audit.record(team, by, "cap.changed", team.name, **change)
