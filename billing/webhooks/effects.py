"""What follows from each type of message. Every effect fetches, and may come late or twice."""

from collections.abc import Callable

from billing import paying_back, stripe_credit, top_ups
from billing import stripe_gateway as gateway
from billing.alerts import alert
from billing.models import StripeCustomer, Subscription, TopUp, WebhookEvent
from billing.outbox.resending import lost
from billing.stripe_errors import StripeMissing
from billing.subscription_state import refresh_subscription, team_of
from billing.webhooks import invoices
from billing.webhooks.usage import deliver

Effect = Callable[[WebhookEvent], None]
NOT_MONEY = "warning"  # Disputes of such a status are questions: no money has moved.


def checkout_changed(event: WebhookEvent) -> None:
    session = gateway.session(event.object_id)
    if session.mode == "payment":
        is_failure = event.type.endswith("async_payment_failed")
        (top_ups.fail if is_failure else top_ups.settle)(session)
    elif session.subscription:
        refresh_subscription(session.subscription)


def subscription_changed(event: WebhookEvent) -> None:
    row = refresh_subscription(event.object_id)
    if row is not None:
        deliver(row.team)


def refund_changed(event: WebhookEvent) -> None:
    refund = gateway.refund(event.object_id)
    note = "the payment of a top-up was refunded"
    if refund.status in {"failed", "canceled"}:
        note = "the refund of a top-up did not go through"
        paying_back.give_again(
            refund.payment_intent, refund.amount_cents, cause=refund.id, note=note
        )
    elif refund.payment_intent:
        paying_back.take_back(
            refund.payment_intent, refund.amount_cents, cause=refund.id, note=note
        )


def dispute_changed(event: WebhookEvent) -> None:
    dispute = gateway.dispute(event.object_id)
    if dispute.status.startswith(NOT_MONEY):
        return
    cause, cents = dispute.id, dispute.amount_cents
    if dispute.status == "won":
        note = "the dispute of a top-up was decided for us"
        paying_back.give_again(dispute.payment_intent, cents, cause=cause, note=note)
        return
    note = "the payment of a top-up is disputed"
    paying_back.take_back(dispute.payment_intent, cents, cause=cause, note=note)
    alert(
        f"dispute:{cause}",
        f"A payment is disputed ({dispute.reason or 'no reason given'}, status {dispute.status}): "
        f"{cause}. Answer it in Stripe's dashboard.",
    )


def credit_grant_changed(event: WebhookEvent) -> None:
    grant = gateway.credit_grant(event.object_id)
    source = grant.metadata.get("source", "")
    payment_intent = source.removeprefix("topup:")
    if payment_intent != source and not grant.is_void:
        rows = TopUp.objects.filter(payment_intent=payment_intent, stripe_grant_id="")
        rows.update(stripe_grant_id=grant.id)
    if team_of(grant.customer):
        stripe_credit.read_balance(grant.customer)


def credit_used(event: WebhookEvent) -> None:
    grant_id = event.payload["data"]["object"].get("credit_grant")
    if grant_id:
        customer = gateway.credit_grant(str(grant_id)).customer
        if team_of(customer):
            stripe_credit.read_balance(customer)


def usage_alert(event: WebhookEvent) -> None:
    told = event.payload["data"]["object"]
    team = team_of(str(told.get("customer") or ""))
    title = (told.get("alert") or {}).get("title") or "an alert"
    name = team.name if team else "an unknown customer"
    alert(f"stripe-alert:{event.pk}", f"Stripe's usage alert was triggered by {name}: {title}.")


def customer_changed(event: WebhookEvent) -> None:
    facts = gateway.customer(event.object_id)
    rows = StripeCustomer.objects.filter(customer_id=event.object_id)
    if not facts.is_deleted:
        rows.update(currency=facts.currency, is_delinquent=facts.is_delinquent)
        return
    row = rows.select_related("team").first()
    if row is None:
        return
    subscription = Subscription.objects.filter(team=row.team, customer_id=event.object_id).first()
    if subscription is not None:
        refresh_subscription(subscription.stripe_id)
    rows.update(customer_id=None, generation=row.generation + 1, checkout_id="", credit_cents=None)
    alert(
        f"customer-deleted:{event.object_id}",
        f"The customer of {row.team.name} was deleted in Stripe. A new one is made when they pay.",
    )


def meter_errors(event: WebhookEvent) -> None:
    """Usage that Stripe took and then did not count."""
    try:
        reason = gateway.fetch_thin_event(event.pk)["data"]["reason"]
    except StripeMissing:
        reason = {"error_types": [], "error_count": 0}
    identifiers, words = [], []
    for kind in reason["error_types"]:
        words.append(f"{kind['code']} ({kind['error_count']})")
        samples = (sample.get("request") or {} for sample in kind["sample_errors"])
        identifiers += [one["identifier"] for one in samples if one.get("identifier")]
    marked = lost(identifiers, ", ".join(words))
    alert(
        f"meter-errors:{event.pk}",
        f"Stripe did not count {reason['error_count']} usage events: {', '.join(words)}. "
        f"{marked} rows of the outbox wait for you in the admin.",
    )


SNAPSHOT_EFFECTS: dict[str, Effect] = {
    **dict.fromkeys(
        [
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.expired",
        ],
        checkout_changed,
    ),
    **{
        f"customer.subscription.{deed}": subscription_changed
        for deed in (
            "created", "updated", "deleted", "paused", "resumed", "trial_will_end",
            "pending_update_expired",
        )
    },
    "invoice.created": invoices.created,
    "invoice.finalized": invoices.finalized,
    "invoice.paid": invoices.paid,
    "invoice.payment_failed": invoices.payment_failed,
    "invoice.payment_action_required": invoices.action_required,
    "invoice.finalization_failed": invoices.finalization_failed,
    "invoice.overdue": invoices.overdue,
    "invoice.voided": invoices.changed,
    "invoice.marked_uncollectible": invoices.changed,
    "refund.created": refund_changed,
    "refund.failed": refund_changed,
    "charge.dispute.created": dispute_changed,
    "charge.dispute.closed": dispute_changed,
    "billing.credit_grant.created": credit_grant_changed,
    "billing.credit_grant.updated": credit_grant_changed,
    "billing.credit_balance_transaction.created": credit_used,
    "billing.alert.triggered": usage_alert,
    "customer.updated": customer_changed,
    "customer.deleted": customer_changed,
}  # fmt: skip
THIN_EFFECTS: dict[str, Effect] = {
    "v1.billing.meter.error_report_triggered": meter_errors,
    "v1.billing.meter.no_meter_found": meter_errors,
}
