"""Handlers of Stripe's events about invoices."""

from collections.abc import Callable
from functools import wraps

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team
from accounts.notifications.publish import publish
from billing.budgets.budget import lock_budget
from billing.credit import grants
from billing.credit.allowances import ALLOWANCE_PRIORITY
from billing.credit.open_usage import covered_micro
from billing.ledger.corrections import forgive
from billing.ledger.posting import credit_overpaid
from billing.models import CreditGrant, Plan, StripeInvoice, Subscription, WebhookEvent
from billing.money import round_to_cents
from billing.stripe import gateway
from billing.stripe.catalog import plan_code_of
from billing.stripe.credit import mirror_credit
from billing.stripe.dtos import StripeInvoiceData
from billing.stripe.operator_alerts import raise_alert
from billing.stripe.reconciliation import metered_lines, reconcile
from billing.stripe.subscriptions import update_metered_items
from billing.stripe.sync import refresh_invoice, refresh_subscription
from billing.stripe.usage_outbox import build, report_usage

NEW_PERIOD_REASONS = {"subscription_create", "subscription_cycle"}
PAYMENT_PROBLEMS = {  # By Stripe's event type: our event type and its sentence.
    "invoice.payment_failed": ("payment.failed", "The card was not charged for invoice {invoice}."),
    "invoice.overdue": ("payment.failed", "Invoice {invoice} is overdue."),
    "invoice.payment_action_required": (
        "payment.action_required",
        "Your bank asks you to confirm the payment of invoice {invoice}.",
    ),
}  # fmt: skip


InvoiceHandler = Callable[[WebhookEvent, Team, StripeInvoiceData], None]


def of_invoice(handler: InvoiceHandler) -> Callable[[WebhookEvent], None]:
    """Call the handler with the invoice's team and current state, unless it is of no team."""

    @wraps(handler)
    def handle(event: WebhookEvent) -> None:
        refreshed = refresh_invoice(event.object_id)
        if refreshed is not None:
            handler(event, *refreshed)

    return handle


@of_invoice
def handle_changed(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    if invoice.subscription:
        refresh_subscription(invoice.subscription)


@of_invoice
def handle_voided(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    """What it asked for usage is not owed, and Stripe holds again the credit that it took off."""
    if invoice.status == "void":
        asked = sum(line.asked_cents for _, line in metered_lines(invoice.id))
        name, credit = f"Voided invoice {invoice.number or invoice.id}", invoice.credit_cents
        forgive(team, f"void:{invoice.id}", asked - credit, credit, name)


def _forgive_discounts(team: Team, invoice: StripeInvoiceData) -> None:
    """A coupon takes off usage before credit does, and our ledger hears of it afterwards."""
    lines = [line for _, line in metered_lines(invoice.id)]
    asked, whole = (
        sum(getattr(line, f) for line in lines) for f in ("asked_cents", "amount_cents")
    )
    if not invoice.finalized_at or asked == whole:
        return
    span = invoice.period_start, invoice.period_end, invoice.finalized_at
    due = max(0, whole - round_to_cents(covered_micro(team.pk, *span)))
    cents, name = min(whole - asked, due), f"Discount of invoice {invoice.number or invoice.id}"
    forgive(team, f"discount:{invoice.id}", cents, whole - asked - cents, name)


@of_invoice
def handle_created(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    """Report usage before the draft is final, and begin the subscription's new period."""
    if invoice.status == "draft":
        report_usage(team.pk)
        mirror_credit(team)
    if invoice.subscription:
        row = refresh_subscription(invoice.subscription)
        if row is not None and invoice.billing_reason == "subscription_cycle":
            update_metered_items(row, is_period_new=True)


@of_invoice
def handle_finalized(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    build(team.pk)  # What missed this invoice is known before what it leaves is reckoned with.
    _forgive_discounts(team, invoice)
    credit_overpaid(team.pk, invoice.id, "Given back when the invoice was final already")
    reconcile(team, invoice.id)


def handle_credit_note(event: WebhookEvent) -> None:
    """Refresh the credit note's invoice, as it changes what is still to be paid."""
    invoice_id = event.payload["data"]["object"].get("invoice")
    if invoice_id:
        refresh_invoice(str(invoice_id))


@of_invoice
def handle_paid(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    """Clear the payment problem, and grant a new period's included credit."""
    if invoice.status != "paid" or not invoice.subscription:
        return
    refresh_subscription(invoice.subscription)
    if not StripeInvoice.objects.filter(team=team, status="open").exists():
        _save_payment_problem(team, invoice, "")  # This message may be an old one.
    if invoice.billing_reason in NEW_PERIOD_REASONS:
        _grant_allowance(team, invoice, _find_paid_plan(invoice))


def _find_paid_plan(invoice: StripeInvoiceData) -> Plan | None:
    """The plan whose fee is for the new period; prorations of an earlier change are of others."""
    lines = sorted(gateway.list_invoice_lines({}, invoice.id), key=lambda line: line.period_end)
    codes = [code for line in lines if (code := plan_code_of(line.product))]
    return Plan.objects.filter(pk=codes[-1]).first() if codes else None


@transaction.atomic
def _grant_allowance(team: Team, invoice: StripeInvoiceData, paid: Plan | None) -> None:
    """Grant the included credit of the plan that this invoice paid for, or of a cheaper plan that
    has replaced it."""
    lock_budget(team.pk)  # A change of plan takes credit back under the same lock.
    rows = Subscription.objects.in_force().select_related("plan")
    row = rows.filter(team=team, stripe_id=invoice.subscription, period_end__gt=now()).first()
    if row is None or CreditGrant.objects.filter(source=f"plan:{invoice.id}").exists():
        return
    included = min(row.plan.included_micro, (paid or row.plan).included_micro)
    if not included:
        return
    grants.grant(
        team,
        included,
        kind="promo",
        source=f"plan:{invoice.id}",
        note=f"Included in the {row.plan.name} plan",
        expires_at=row.period_end,
        priority=ALLOWANCE_PRIORITY,
    )


@of_invoice
def handle_payment_problem(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    """Notify the team and show the problem on the plan's page, unless the invoice is not open any
    more."""
    if invoice.status != "open":
        return
    notice, words = PAYMENT_PROBLEMS[event.type]
    sentence = words.format(invoice=invoice.number or invoice.id)
    if event.type == "invoice.payment_failed" and invoice.next_attempt_at:
        sentence += f" Stripe tries again on {invoice.next_attempt_at:%Y-%m-%d}."
    if invoice.subscription:
        refresh_subscription(invoice.subscription)
    page, key = reverse("billing:plan", args=[team.slug]), f"{notice}:{event.pk}"
    with transaction.atomic():
        _save_payment_problem(team, invoice, sentence)
        publish(team, notice, sentence, url=page, key=key, data={"invoice": invoice.id})


@of_invoice
def handle_finalization_failed(event: WebhookEvent, team: Team, invoice: StripeInvoiceData) -> None:
    why = invoice.finalization_error or "Stripe gave no reason"
    raise_alert(
        f"finalization:{invoice.id}",
        f"Stripe could not finalize invoice {invoice.id} of {team.name}: {why}. "
        "Nobody is charged until that is repaired in Stripe's dashboard.",
    )


@transaction.atomic
def _save_payment_problem(team: Team, invoice: StripeInvoiceData, sentence: str) -> None:
    """Store the sentence that the plan's page shows; "" clears it."""
    lock_budget(team.pk)
    rows = Subscription.objects.filter(team=team, stripe_id=invoice.subscription)
    rows.update(payment_problem=sentence[:255])
