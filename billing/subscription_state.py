"""Copying a subscription's and an invoice's state from Stripe: fetch, then write if newer.

Messages arrive late, twice and in any order, so what they say is never used. A fetch that began
later has seen everything that an earlier one has; therefore the begin of the fetch decides which
of two copies stays.
"""

from datetime import datetime

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Team
from billing import budget as budgets
from billing import stripe_gateway as gateway
from billing.alerts import alert
from billing.catalog import plan_code_of
from billing.models import Plan, StripeCustomer, StripeInvoice, Subscription
from billing.stripe_facts import InvoiceFacts, SubscriptionFacts
from web.live import notify


def team_of(customer_id: str) -> Team | None:
    """Whose customer this is; None for a customer that is none of ours."""
    row = StripeCustomer.objects.filter(customer_id=customer_id).select_related("team").first()
    return row.team if row else None


def refresh_subscription(subscription_id: str) -> Subscription | None:
    """The team's subscription as Stripe has it now; None when it is no team's (any more)."""
    began = now()
    facts = gateway.subscription(subscription_id)
    team = team_of(facts.customer)
    if team is None or not facts.items:
        return None
    if _is_second(team, facts):
        return None
    return store_subscription(team, facts, began)


def _is_second(team: Team, facts: SubscriptionFacts) -> bool:
    """Whether another of the team's goes before this one. Of two in force the younger is ended."""
    known = Subscription.objects.filter(team=team).exclude(stripe_id=facts.id).first()
    if known is None:
        return False
    if facts.status not in Subscription.IN_FORCE:
        return known.is_in_force or known.created_at > facts.created
    other = gateway.subscription(known.stripe_id)
    if other.status not in Subscription.IN_FORCE:
        return False
    older, younger = sorted([facts, other], key=lambda one: (one.created, one.id))
    gateway.cancel_subscription(
        younger.id, {"prorate": True, "invoice_now": True}, key=f"cancel-second:{younger.id}"
    )
    alert(
        f"second-subscription:{younger.id}",
        f"{team.name} had subscribed twice: {younger.id} was ended at once and its unused time "
        f"credited; {older.id} stays. Check in Stripe that nothing more is owed back.",
    )
    return younger is facts


@transaction.atomic
def store_subscription(team: Team, facts: SubscriptionFacts, began: datetime) -> Subscription:
    """Write what a fetch that began then has seen, and let the budget follow its plan."""
    budget = budgets.lock(team.pk)
    known = Subscription.objects.filter(team=team).first()
    if known and known.stripe_id == facts.id and known.read_at > began:
        return known
    was_in_force = known is not None and known.is_in_force
    problem = known.payment_problem if known and known.stripe_id == facts.id else ""
    row = _copy(team, facts, began, problem)
    row.save(force_insert=known is None, force_update=known is not None)
    plan_id = row.plan_id if row.is_in_force else budgets.DEFAULT_PLAN
    if (row.is_in_force or was_in_force) and budget.plan_id != plan_id:
        budget.plan_id = plan_id
        budget.save(update_fields=["plan"])
    notify(f"team:{team.pk}")
    return row


def _copy(team: Team, facts: SubscriptionFacts, began: datetime, problem: str) -> Subscription:
    fee = next((item for item in facts.items if not item.price.meter), None)
    is_fine = facts.status in {"active", "trialing"}
    return Subscription(
        team=team,
        stripe_id=facts.id,
        customer_id=facts.customer,
        status=facts.status,
        plan=_plan_of(facts),
        plan_item_id=fee.id if fee else "",
        metered_items={item.price.id: item.id for item in facts.items if item.price.meter},
        period_start=min(item.period_start for item in facts.items),
        period_end=max(item.period_end for item in facts.items),
        created_at=facts.created,
        cancel_at=facts.cancel_at,
        ended_at=facts.ended_at,
        payment_problem="" if is_fine else problem,
        read_at=began,
    )


def _plan_of(facts: SubscriptionFacts) -> Plan:
    """By the product of its fee; without a fee, the plan that asks for none."""
    codes = [plan_code_of(item.price.product) for item in facts.items]
    found = Plan.objects.filter(pk__in=[code for code in codes if code]).first()
    return found or Plan.objects.get(pk=budgets.DEFAULT_PLAN)


def refresh_invoice(invoice_id: str) -> tuple[Team, InvoiceFacts] | None:
    """The invoice as Stripe has it now, with its team; None when it is no team's."""
    began = now()
    facts = gateway.invoice(invoice_id)
    team = team_of(facts.customer)
    if team is None:
        return None
    _store_invoice(team, facts, began)
    return team, facts


@transaction.atomic
def _store_invoice(team: Team, facts: InvoiceFacts, began: datetime) -> None:
    budgets.lock(team.pk)
    if StripeInvoice.objects.filter(pk=facts.id, read_at__gt=began).exists():
        return
    StripeInvoice.objects.update_or_create(
        pk=facts.id,
        defaults={
            "team": team,
            "status": facts.status,
            "billing_reason": facts.billing_reason,
            "number": facts.number,
            "total_cents": facts.total_cents,
            "due_cents": facts.due_cents,
            "page_url": facts.page_url,
            "pdf_url": facts.pdf_url,
            "created_at": facts.created,
            "period_start": facts.period_start,
            "period_end": facts.period_end,
            "next_attempt_at": facts.next_attempt_at,
            "read_at": began,
        },
    )
