"""Celery's way into telling: a message is a nudge, rows are the work."""

from celery import shared_task


@shared_task
def fan_out() -> None:
    """Turn new notices into e-mails and deliveries, then send what is due."""
    from accounts.telling import fan_out_due

    fan_out_due()


@shared_task
def send_emails() -> None:
    from accounts.mailing import send_due

    send_due()


@shared_task
def deliver_webhooks() -> None:
    from accounts.webhooks.delivering import deliver_due

    deliver_due()


@shared_task
def trim_notices() -> None:
    from accounts.trimming import trim

    trim()
