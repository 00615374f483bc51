"""Notices about a team's budget: at half, most and all of the cap, and about its credit."""

from django.urls import reverse

from accounts.notifications.publish import publish
from billing.models import Budget, CreditGrant
from web.templatetags.ui import money

# Percent of the cap, highest first: its event and how the sentence begins.
ALERT_THRESHOLDS = (
    (100, "budget.spent", "This month's spend cap is used up"),
    (80, "budget.nearly_spent", "Most of this month's spend cap is used"),
    (50, "budget.half_spent", "Half of this month's spend cap is used"),
)
CAP_REACHED_HINT = " Running jobs save a checkpoint and pause; raise the cap to resume them."


def notify_thresholds(budget: Budget, *, is_spent: bool = False) -> None:
    """Notify of the highest threshold that is newly reached; each once per period and cap.

    `is_spent`: what is left does not pay for another heartbeat. The budget is locked.
    """
    if is_spent and budget.is_prepaid:
        _notify_credit_used_up(budget)
        is_spent = False
    share = 100 if is_spent else percent_of_cap_spent(budget)
    step = next((step for step in ALERT_THRESHOLDS if share >= step[0]), None)
    if step is None or step[0] <= budget.last_alerted_percent or budget.cap_micro is None:
        return
    percent, event, beginning = step
    sentence = f"{beginning}: {money(budget.spent_micro)} of {money(budget.cap_micro)}."
    publish(
        budget.team,
        event,
        sentence + (CAP_REACHED_HINT if percent == 100 else ""),
        url=usage_url(budget),
        key=period_key(event, budget),
        data={"spent_micros": budget.spent_micro, "cap_micros": budget.cap_micro},
    )
    budget.last_alerted_percent = percent
    budget.save(update_fields=["last_alerted_percent"])


def _notify_credit_used_up(budget: Budget) -> None:
    """Once for all that was granted so far."""
    newest = CreditGrant.objects.filter(team=budget.pk).order_by("-pk").first()
    key = f"credit.used:{newest.pk if newest else 0}"
    sentence = (
        "The prepaid credit or the cap is used up. Running jobs save a checkpoint and pause; add "
        "credit or raise the cap to resume them."
    )
    data = {"spent_micros": budget.spent_micro, "cap_micros": budget.cap_micro}
    publish(budget.team, "budget.spent", sentence, url=usage_url(budget), key=key, data=data)


def notify_credit_event(
    event: str, grant: CreditGrant, sentence: str, *, key: str, micro: int
) -> None:
    """Something happened to `micro` of this grant. `key` makes it one notice."""
    page = reverse("billing:usage", args=[grant.team.slug])
    data = {
        "grant": grant.pk,
        "kind": grant.kind,
        "amount_micros": micro,
        "expires_at": grant.expires_at.isoformat() if grant.expires_at else None,
    }
    publish(grant.team, event, sentence, url=f"{page}#credit", key=key, data=data)


def percent_of_cap_spent(budget: Budget) -> int:
    """Whole percent of the cap that is spent; 0 without a cap."""
    if budget.cap_micro is None:
        return 0
    if budget.cap_micro == 0:
        return 100 if budget.spent_micro > 0 else 0
    return max(0, budget.spent_micro * 100 // budget.cap_micro)


def usage_url(budget: Budget) -> str:
    return reverse("billing:usage", args=[budget.team.slug])


def period_key(event: str, budget: Budget) -> str:
    """Key of a notice that is sent once per month and cap."""
    return f"{event}:{budget.period_start:%Y-%m}:{budget.cap_micro}"
