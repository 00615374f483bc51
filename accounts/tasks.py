"""Celery's tasks of accounts. A message is only a hint; the rows say what there is to do."""

from celery import shared_task

from accounts.notifications import bundles, cleanup, digest
from accounts.notifications.fan_out import fan_out_pending
from accounts.webhooks.delivery import deliver_due_exclusively
from web.idempotency import store as idempotency_store

for name, function in {
    "fan_out": fan_out_pending,
    "deliver_webhooks": deliver_due_exclusively,
    "trim_notices": cleanup.delete_old,
    "trim_idempotency_keys": idempotency_store.delete_old,
}.items():
    shared_task(name=f"accounts.tasks.{name}")(function)


@shared_task
def send_emails() -> None:
    """Send e-mails, unless another worker does: a slow mail server holds up one worker only."""
    bundles.send_due_exclusively()
    digest.send_due_exclusively()
