"""What follows from messages about invoices."""

from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from accounts.notices import tell
from billing import budget as budgets
from billing import credits
from billing.alerts import alert
from billing.included_credit import PRIORITY
from billing.models import Subscription, WebhookEvent
from billing.reconciling import reconcile
from billing.stripe_credit import ensure_stripe_grant
from billing.stripe_facts import InvoiceFacts
from billing.subscribing import follow_prices
from billing.subscription_state import refresh_invoice, refresh_subscription
from billing.webhooks.usage import deliver

NEW_PERIOD = {"subscription_create", "subscription_cycle"}
MICRO_PER_CENT = 10_000
# Stripe takes credit off when it finalizes, about an hour after the period has ended.
FINALIZING = timedelta(days=3)


def _fresh(event: WebhookEvent) -> tuple[Team, InvoiceFacts] | None:
    return refresh_invoice(event.object_id)


def changed(event: WebhookEvent) -> None:
    if (found := _fresh(event)) and found[1].subscription:
        refresh_subscription(found[1].subscription)


def created(event: WebhookEvent) -> None:
    """While it is a draft, usage of its period still gets in."""
    if (found := _fresh(event)) is None:
        return
    team, facts = found
    if facts.status == "draft":
        deliver(team)
    if facts.subscription:
        row = refresh_subscription(facts.subscription)
        if row is not None and facts.billing_reason == "subscription_cycle":
            follow_prices(row)


def finalized(event: WebhookEvent) -> None:
    if found := _fresh(event):
        team, facts = found
        reconcile(team, facts.id)


def paid(event: WebhookEvent) -> None:
    """The card was charged: what stood in the way is over, and a new month's credit begins."""
    if (found := _fresh(event)) is None or found[1].status != "paid" or not found[1].subscription:
        return
    team, facts = found
    row = refresh_subscription(facts.subscription)
    _note_problem(team, facts, "")
    if row is not None and row.is_in_force and facts.billing_reason in NEW_PERIOD:
        _grant_included(team, row, facts)


def _grant_included(team: Team, row: Subscription, facts: InvoiceFacts) -> None:
    included, until = row.plan.included_micro, row.period_end
    if not included or until <= now():
        return
    source, note = f"plan:{facts.id}", f"Included in the {row.plan.name} plan"
    credits.grant(
        team, included, kind="promo", source=source, note=note, expires_at=until, priority=PRIORITY
    )
    ensure_stripe_grant(
        team,
        included // MICRO_PER_CENT,
        name=note,
        source=source,
        category="promotional",
        expires_at=int((until + FINALIZING).timestamp()),
    )


def payment_failed(event: WebhookEvent) -> None:
    if (found := _fresh(event)) is None or found[1].status != "open":
        return
    team, facts = found
    again = (
        f" Stripe tries again on {_day(facts.next_attempt_at)}." if facts.next_attempt_at else ""
    )
    sentence = f"The card was not charged for invoice {facts.number or facts.id}.{again}"
    _tell_problem(team, facts, "payment.failed", sentence, key=event.pk)


def action_required(event: WebhookEvent) -> None:
    if (found := _fresh(event)) is None or found[1].status != "open":
        return
    team, facts = found
    sentence = f"Your bank asks you to confirm the payment of invoice {facts.number or facts.id}."
    _tell_problem(team, facts, "payment.action_required", sentence, key=event.pk)


def overdue(event: WebhookEvent) -> None:
    if (found := _fresh(event)) is None or found[1].status != "open":
        return
    team, facts = found
    sentence = f"Invoice {facts.number or facts.id} is overdue."
    _tell_problem(team, facts, "payment.failed", sentence, key=event.pk)


def finalization_failed(event: WebhookEvent) -> None:
    if found := _fresh(event):
        team, facts = found
        why = facts.problem or "Stripe gave no reason"
        alert(
            f"finalization:{facts.id}",
            f"Stripe could not finalize invoice {facts.id} of {team.name}: {why}. "
            "Nobody is charged until that is repaired in Stripe's dashboard.",
        )


def _tell_problem(team: Team, facts: InvoiceFacts, what: str, sentence: str, *, key: str) -> None:
    if facts.subscription:
        refresh_subscription(facts.subscription)
    page = reverse("billing:plan", args=[team.slug])
    with transaction.atomic():
        _note_problem(team, facts, sentence)
        tell(team, what, sentence, url=page, key=f"{what}:{key}", data={"invoice": facts.id})


@transaction.atomic
def _note_problem(team: Team, facts: InvoiceFacts, sentence: str) -> None:
    """Dunning, as people read it on the page about their plan."""
    budgets.lock(team.pk)
    rows = Subscription.objects.filter(team=team, stripe_id=facts.subscription)
    rows.update(payment_problem=sentence[:255])


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""
