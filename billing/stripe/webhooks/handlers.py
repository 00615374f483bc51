"""Handlers by event type. Each fetches the object's current state, and may run late or twice."""

from collections.abc import Callable

from django.utils.timezone import now

from billing.models import OperatorAlert, StripeCustomer, WebhookEvent
from billing.stripe import gateway, top_ups
from billing.stripe.account import forget_customer
from billing.stripe.errors import StripeNotFound
from billing.stripe.operator_alerts import raise_alert
from billing.stripe.subscriptions import update_metered_items
from billing.stripe.sync import find_team_by_customer, refresh_subscription
from billing.stripe.usage_outbox import report_usage
from billing.stripe.usage_outbox.claims import mark_lost
from billing.stripe.webhooks import invoice_handlers

EventHandler = Callable[[WebhookEvent], None]
FINAL_DISPUTE_STATUSES = ("lost", "charge_refunded", "prevented")
INQUIRY_STATUS_PREFIX = "warning"  # Such disputes are inquiries: no money has moved yet.


def handle_checkout_session(event: WebhookEvent) -> None:
    session = gateway.retrieve_checkout_session(event.object_id)
    if session.mode == "payment":
        is_failure = event.type.endswith("async_payment_failed")
        (top_ups.mark_failed if is_failure else top_ups.sync_top_up)(session)
    elif session.subscription:
        refresh_subscription(session.subscription)


def handle_subscription(event: WebhookEvent) -> None:
    row = refresh_subscription(event.object_id)
    if row is not None:
        update_metered_items(row)
        report_usage(row.team_id)


def handle_refund(event: WebhookEvent) -> None:
    refund = gateway.retrieve_refund(event.object_id)
    note = "the payment of a top-up was refunded"
    if refund.has_failed:
        note = "the refund of a top-up did not go through"
        top_ups.reinstate(refund.payment_intent, cause=refund.id, note=note)
    elif refund.payment_intent:
        top_ups.revoke_top_up(
            refund.payment_intent, refund.amount_cents, cause=refund.id, note=note
        )


def handle_dispute(event: WebhookEvent) -> None:
    dispute = gateway.retrieve_dispute(event.object_id)
    if dispute.status.startswith(INQUIRY_STATUS_PREFIX):
        return
    alert = OperatorAlert.objects.filter(key=f"dispute:{dispute.id}")
    cause, cents = dispute.id, dispute.amount_cents
    if dispute.status == "won":
        note = "the dispute of a top-up was decided for us"
        top_ups.reinstate(dispute.payment_intent, cause=cause, note=note)
        alert.update(settled_at=now())
        return
    note = "the payment of a top-up is disputed"
    top_ups.revoke_top_up(dispute.payment_intent, cents, cause=cause, note=note)
    if dispute.status in FINAL_DISPUTE_STATUSES:
        sentence = f"The dispute {cause} is over ({dispute.status}). The payment is lost."
        alert.update(sentence=sentence, settled_at=now())
        return
    raise_alert(
        f"dispute:{cause}",
        f"A payment is disputed ({dispute.reason or 'no reason given'}, status {dispute.status}): "
        f"{cause}. Answer it in Stripe's dashboard.",
    )


def handle_usage_alert(event: WebhookEvent) -> None:
    alert = event.payload["data"]["object"]
    team = find_team_by_customer(str(alert.get("customer") or ""))
    title = (alert.get("alert") or {}).get("title") or "an alert"
    name = team.name if team else "an unknown customer"
    raise_alert(
        f"stripe-alert:{event.pk}", f"Stripe's usage alert was triggered by {name}: {title}."
    )


def handle_customer_deleted(event: WebhookEvent) -> None:
    row = StripeCustomer.objects.filter(customer_id=event.object_id).select_related("team").first()
    if row is None or not gateway.retrieve_customer(event.object_id).is_deleted:
        return
    forget_customer(row, reason="it was deleted in Stripe")
    raise_alert(
        f"customer-deleted:{event.object_id}",
        f"The customer of {row.team.name} was deleted in Stripe. A new one is made when they pay.",
    )


def handle_meter_errors(event: WebhookEvent) -> None:
    """Mark rows of usage that Stripe accepted and then did not count."""
    try:
        errors = gateway.retrieve_meter_errors(event.pk)
        kinds, count = errors.error_types, errors.error_count
    except StripeNotFound:  # Stripe keeps events for 30 days.
        kinds, count = (), 0
    reasons = ", ".join(f"{kind.code} ({kind.error_count})" for kind in kinds)
    samples = [sample for kind in kinds for sample in kind.sample_errors]
    lost = mark_lost([sample.identifier for sample in samples if sample.identifier], reasons)
    raise_alert(
        f"meter-errors:{event.pk}",
        f"Stripe did not count {count} usage events: {reasons}. "
        f"{lost} rows of the outbox wait for you in the admin.",
    )


SNAPSHOT_HANDLERS: dict[str, EventHandler] = {
    **{
        f"checkout.session.{change}": handle_checkout_session
        for change in ("completed", "async_payment_succeeded", "async_payment_failed", "expired")
    },
    **{
        f"customer.subscription.{change}": handle_subscription
        for change in (
            "created", "updated", "deleted", "paused", "resumed", "trial_will_end",
            "pending_update_expired",
        )
    },
    "invoice.created": invoice_handlers.handle_created,
    "invoice.finalized": invoice_handlers.handle_finalized,
    "invoice.paid": invoice_handlers.handle_paid,
    **dict.fromkeys(invoice_handlers.PAYMENT_PROBLEMS, invoice_handlers.handle_payment_problem),
    "invoice.finalization_failed": invoice_handlers.handle_finalization_failed,
    "invoice.voided": invoice_handlers.handle_voided,
    "invoice.deleted": invoice_handlers.handle_changed,
    "invoice.marked_uncollectible": invoice_handlers.handle_changed,
    "credit_note.created": invoice_handlers.handle_credit_note,
    "credit_note.updated": invoice_handlers.handle_credit_note,
    "credit_note.voided": invoice_handlers.handle_credit_note,
    # One that is cancelled sends no message but an update.
    **dict.fromkeys(("refund.created", "refund.updated", "refund.failed"), handle_refund),
    # An inquiry that becomes a dispute does not send another "created".
    **{
        f"charge.dispute.{change}": handle_dispute
        for change in ("created", "updated", "funds_withdrawn", "funds_reinstated", "closed")
    },
    "billing.alert.triggered": handle_usage_alert,
    "customer.deleted": handle_customer_deleted,
}  # fmt: skip
THIN_HANDLERS: dict[str, EventHandler] = {
    "v1.billing.meter.error_report_triggered": handle_meter_errors,
    "v1.billing.meter.no_meter_found": handle_meter_errors,
}
