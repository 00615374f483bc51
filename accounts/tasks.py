"""Celery's tasks of accounts. A message is only a hint; the rows say what there is to do."""

from celery import shared_task

from accounts.notifications import bundles, cleanup, digest
from accounts.notifications.fan_out import fan_out_pending
from accounts.webhooks.delivery import deliver_due_exclusively
from web.idempotency import store as idempotency_store


@shared_task
def fan_out() -> None:
    """Turn new notices into e-mails and deliveries."""
    fan_out_pending()


@shared_task
def send_emails() -> None:
    """Send e-mails, unless another worker does: a slow mail server holds up one worker only."""
    bundles.send_due_exclusively()
    digest.send_due_exclusively()


@shared_task
def deliver_webhooks() -> None:
    """Send webhooks, unless another worker does: slow receivers hold up one worker only."""
    deliver_due_exclusively()


@shared_task
def trim_notices() -> None:
    """Delete old notices and deliveries."""
    cleanup.delete_old()


@shared_task
def trim_idempotency_keys() -> None:
    """Delete the keys of requests that nobody may repeat any more."""
    idempotency_store.delete_old()
