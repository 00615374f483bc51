"""Copying a subscription's and an invoice's state from Stripe: fetch, then write if newer.

Messages arrive late, twice and in any order, so what they say is never used. A fetch that began
later has seen everything that an earlier one has; therefore the begin of the fetch decides which
of two copies stays.
"""

from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets.budget import DEFAULT_PLAN, lock_budget
from billing.credit import application, grants
from billing.credit.allowances import take_back_unused
from billing.models import Plan, StripeCustomer, StripeInvoice, Subscription
from billing.stripe import gateway
from billing.stripe.account import current_account
from billing.stripe.catalog import plan_code_of
from billing.stripe.dtos import StripeInvoiceData, StripeSubscriptionData
from billing.stripe.errors import StripeNotFound
from billing.stripe.operator_alerts import raise_alert
from billing.stripe.usage_outbox import build
from billing.stripe.usage_outbox.claims import bill_with, find_unbilled
from web.sse import notify

# Of StripeInvoice, named alike in StripeInvoiceData.
INVOICE_COLUMNS = {
    *("status", "billing_reason", "number", "total_cents", "due_cents", "page_url", "pdf_url"),
    *("period_start", "period_end", "next_attempt_at", "finalized_at"),
}


def find_team_by_customer(customer_id: str) -> Team | None:
    """Whose customer this is; None for a customer that is none of ours."""
    row = StripeCustomer.objects.filter(customer_id=customer_id).select_related("team").first()
    return row.team if row else None


def refresh_subscription(subscription_id: str) -> Subscription | None:
    """The team's subscription as Stripe has it now; None when it is no team's (any more)."""
    began = now()
    data = gateway.retrieve_subscription(subscription_id)
    team = find_team_by_customer(data.customer)
    if team is None or not data.items:
        return None
    if _resolve_duplicate(team, data):
        return None
    for earlier in set(find_unbilled(team, data.created, data.id).values_list("subscription")):
        with suppress(StripeNotFound):  # Read first, so that what they hold is not billed again.
            store_latest_invoices(team, *earlier)
    return _store_subscription(_build_subscription(team, data, began))


def _resolve_duplicate(team: Team, data: StripeSubscriptionData) -> bool:
    """Whether another of the team's goes before this one. Of two in force the younger is ended."""
    stored = Subscription.objects.filter(team=team).exclude(stripe_id=data.id).first()
    if stored is None:
        return False
    if data.status not in Subscription.IN_FORCE:
        return stored.is_in_force or stored.created_at > data.created
    other = gateway.retrieve_subscription(stored.stripe_id)
    if other.status not in Subscription.IN_FORCE:
        return False
    older, younger = sorted([data, other], key=lambda each: (each.created, each.id))
    gateway.cancel_subscription(
        younger.id, {"prorate": True, "invoice_now": True}, key=f"cancel-second:{younger.id}"
    )
    raise_alert(
        f"second-subscription:{younger.id}",
        f"{team.name} had subscribed twice: {younger.id} was ended at once and its unused time "
        f"credited; {older.id} stays. Check in Stripe that nothing more is owed back.",
    )
    return younger is data


@transaction.atomic
def _store_subscription(row: Subscription) -> Subscription:
    """Write what was fetched unless a later fetch was first, and let the budget follow its plan."""
    budget = lock_budget(row.team_id)
    stored = Subscription.objects.filter(team=row.team_id).first()
    same = stored if stored and stored.stripe_id == row.stripe_id else None
    if same and same.read_at > row.read_at:
        return same
    if same and row.status not in {"active", "trialing"}:
        row.payment_problem = same.payment_problem
    row.save(force_insert=stored is None, force_update=stored is not None)
    was_in_force = stored is not None and stored.is_in_force
    plan_id = row.plan_id if row.is_in_force else DEFAULT_PLAN
    if (row.is_in_force or was_in_force) and budget.plan_id != plan_id:
        budget.plan_id = plan_id
        budget.save(update_fields=["plan"])
    if row.is_in_force:
        bill_with(row)  # Each time: what was just being sent is passed over.
    if row.is_in_force and not (same and was_in_force):
        grants.charge_debt(budget)
        application.queue_mirror(budget)
    has_ended = was_in_force and not row.is_in_force
    if same and (same.plan_id != row.plan_id or has_ended):
        take_back_unused(budget, same, row)
    notify(f"team:{row.team_id}")
    return row


def _build_subscription(team: Team, data: StripeSubscriptionData, began: datetime) -> Subscription:
    """Not saved. Asks Stripe for its account, so that nothing is locked meanwhile."""
    # By the product of its fee; without a fee, the plan that asks for none. Other lines may have
    # been added in Stripe's dashboard.
    fee = next((item for item in data.items if plan_code_of(item.price.product)), None)
    plan = Plan.objects.filter(pk=plan_code_of(fee.price.product)).first() if fee else None
    return Subscription(
        team=team,
        stripe_id=data.id,
        customer_id=data.customer,
        account=current_account(),
        status=data.status,
        plan=plan or Plan.objects.get(pk=DEFAULT_PLAN),
        plan_item_id=fee.id if fee else "",
        metered_items={item.price.id: item.id for item in data.items if item.price.meter},
        period_start=min(item.period_start for item in data.items),
        period_end=max(item.period_end for item in data.items),
        created_at=data.created,
        cancel_at=data.cancel_at,
        ended_at=data.ended_at,
        read_at=began,
    )


def refresh_invoice(invoice_id: str) -> tuple[Team, StripeInvoiceData] | None:
    """The invoice as Stripe has it now, with its team; None when it is no team's (any more).

    An operator may delete a draft that is outside subscriptions.
    """
    began = now()
    try:
        invoice = gateway.retrieve_invoice(invoice_id)
    except StripeNotFound:
        if StripeInvoice.objects.filter(pk=invoice_id).exclude(status="draft").exists():
            raise
        StripeInvoice.objects.filter(pk=invoice_id).delete()
        return None
    team = find_team_by_customer(invoice.customer)
    if team is None:
        return None
    _store_invoice(team, invoice, began)
    return team, invoice


def store_latest_invoices(team: Team, subscription_id: str) -> dict[str, str]:
    """Store a subscription's newest invoices as Stripe has them now; returns their statuses."""
    began = now()
    invoices = gateway.list_latest_invoices(subscription_id)
    for invoice in invoices:
        _store_invoice(team, invoice, began)
    return {invoice.id: invoice.status for invoice in invoices}


def refresh_open_period(team: Team) -> dict[str, str]:
    """Store the newest invoices of the team's subscription, before its credit is reckoned with.

    What an invoice has collected by now, no new credit covers, although its message is on the way.
    Nor did it collect what was not taken in before.
    """
    row = Subscription.objects.filter(team=team).first()
    if row is None or not gateway.is_enabled():
        return {}
    statuses = store_latest_invoices(team, row.stripe_id)
    build(team.pk)
    return statuses


def _store_invoice(team: Team, invoice: StripeInvoiceData, began: datetime) -> None:
    columns = {
        **invoice.model_dump(include=INVOICE_COLUMNS),
        "team": team,
        "account": current_account(),
        "created_at": invoice.created,
        "read_at": began,
    }
    with transaction.atomic():
        lock_budget(team.pk)
        if not StripeInvoice.objects.filter(pk=invoice.id, read_at__gt=began).exists():
            StripeInvoice.objects.update_or_create(pk=invoice.id, defaults=columns)
