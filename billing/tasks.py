"""Celery tasks about money. Each calls one function; a lost or repeated message changes nothing."""

from celery import shared_task

from billing.budgets import anomaly_detection
from billing.credit import grants, plan_allowance
from billing.statements import invoices
from billing.stripe import credit, doctor, reconciliation, usage_outbox
from billing.stripe.webhooks import dispatcher, inbox


@shared_task
def expire_credit() -> None:
    """Book back credit that has expired."""
    grants.expire_due()


@shared_task
def grant_included_credit() -> None:
    """Grant teams the month's credit of their plans on installations without Stripe."""
    plan_allowance.grant_plan_allowances()


@shared_task
def warn_of_expiry() -> None:
    """Notify teams of credit that expires within a week."""
    grants.warn_of_expiry()


@shared_task
def report_usage() -> None:
    """Take new usage into the outbox and deliver it."""
    usage_outbox.report_usage()


@shared_task
def deliver_usage() -> None:
    """Deliver outbox rows that are due for another try."""
    usage_outbox.flush()


@shared_task
def mirror_credit() -> None:
    """Have Stripe's credit follow the ledger's."""
    credit.mirror_due()


@shared_task
def reconcile() -> None:
    """Compare every team's credit, and what was passed over, with Stripe."""
    reconciliation.reconcile_all()


@shared_task
def keep_catalog() -> None:
    """Write new and changed plans and rates to Stripe's catalog."""
    doctor.keep_catalog()


@shared_task
def process_webhooks() -> None:
    """Handle Stripe's events that are due."""
    dispatcher.process_due()


@shared_task
def sweep_webhooks() -> None:
    """Fetch events of Stripe's that never reached us."""
    inbox.fetch_missed_events()


@shared_task
def watch_spending() -> None:
    """Put teams on hold that spend many times their usual amount."""
    anomaly_detection.hold_anomalous_teams()


@shared_task
def warn_of_overspending() -> None:
    """Notify teams that are likely to reach their cap before the month ends."""
    anomaly_detection.warn_of_overspending()


@shared_task
def issue_invoices() -> None:
    """Issue the invoices of months that are over."""
    invoices.issue_due()
