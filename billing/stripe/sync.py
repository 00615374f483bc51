"""Copies the state of subscriptions and invoices from Stripe: fetch, then write if newer.

Events arrive late, twice and in any order, so their content is never used. A fetch that began later
has seen everything that an earlier one saw, so the copy whose fetch began last is kept.
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

# Columns of StripeInvoice that have the same name in StripeInvoiceData.
INVOICE_COLUMNS = {
    *("status", "billing_reason", "number", "total_cents", "due_cents", "page_url", "pdf_url"),
    *("period_start", "period_end", "next_attempt_at", "finalized_at"),
}


def find_team_by_customer(customer_id: str) -> Team | None:
    """The team of a customer; None for a customer of no team."""
    row = StripeCustomer.objects.filter(customer_id=customer_id).select_related("team").first()
    return row.team if row else None


def refresh_subscription(subscription_id: str) -> Subscription | None:
    """Fetch and store a subscription; None when it is of no team, or no longer its current one."""
    began = now()
    data = gateway.retrieve_subscription(subscription_id)
    team = find_team_by_customer(data.customer)
    if team is None or not data.items:
        return None
    if _resolve_duplicate(team, data):
        return None
    for earlier in set(find_unbilled(team, data.created, data.id).values_list("subscription")):
        with suppress(StripeNotFound):  # Stored first, so that usage on them is not billed again.
            store_latest_invoices(team, *earlier)
    return _store_subscription(_build_subscription(team, data, began))


def _resolve_duplicate(team: Team, data: StripeSubscriptionData) -> bool:
    """Whether the team's stored subscription takes precedence over this one. Of two that are in
    force, the younger is ended at Stripe."""
    stored = Subscription.objects.filter(team=team).exclude(stripe_id=data.id).first()
    if stored is None:
        return False
    if data.status not in Subscription.IN_FORCE:
        return stored.is_in_force or stored.created_at > data.created
    rival = gateway.retrieve_subscription(stored.stripe_id)
    if rival.status not in Subscription.IN_FORCE:
        return False
    older, younger = sorted([data, rival], key=lambda each: (each.created, each.id))
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
    """Write a fetched subscription unless a later fetch was written, and set the budget's plan."""
    budget = lock_budget(row.team_id)
    stored = Subscription.objects.filter(team=row.team_id).first()
    same = stored if stored and stored.stripe_id == row.stripe_id else None
    if same and same.read_at > row.read_at:
        return same
    if same and row.status not in {"active", "trialing"}:
        row.payment_problem = same.payment_problem
    if stored and not stored.ended_at and (not same or row.ended_at):
        build(row.team_id)  # What was used until we hear of an end, the next subscription bills.
    row.save(force_insert=stored is None, force_update=stored is not None)
    was_in_force = stored is not None and stored.is_in_force
    plan_id = row.plan_id if row.is_in_force else DEFAULT_PLAN
    if (row.is_in_force or was_in_force) and budget.plan_id != plan_id:
        budget.plan_id = plan_id
        budget.save(update_fields=["plan"])
    if row.is_in_force:
        bill_with(row)  # Each time, as it skips rows that are being sent in that moment.
    if row.is_in_force and not (same and was_in_force):
        grants.charge_debt(budget)
        application.queue_mirror(budget)
    has_ended = was_in_force and not row.is_in_force
    if same and (same.plan_id != row.plan_id or has_ended):
        take_back_unused(budget, same, row)
    notify(f"team:{row.team_id}")
    return row


def _build_subscription(team: Team, data: StripeSubscriptionData, began: datetime) -> Subscription:
    """The row of a fetched subscription, not saved. It may call Stripe for the account, so it must
    not be called while rows are locked."""
    # The plan is that of the fee's product; without a fee, the default plan. Other lines may have
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
    """Fetch and store an invoice; returns its team and the invoice, or None when it is of no team
    or was deleted. An operator may delete a draft that is of no subscription.
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
    """Store the newest invoices of the team's subscription and take in its usage, before credit is
    computed; returns the invoices' statuses.

    New credit does not cover usage that is on an invoice, even if the event about that invoice has
    not arrived yet; and usage that was not taken in before is on none.
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
