"""Celery's way into telling: a message is a nudge, rows are the work."""

from celery import shared_task


@shared_task
def fan_out() -> None:
    """Turn new notices into e-mails and deliveries, then send what is due."""
    from accounts import telling

    telling.fan_out_due()


@shared_task
def send_emails() -> None:
    """Send e-mails, unless another worker is at it: a slow mail server holds up one worker only."""
    from accounts import mail_round

    mail_round.send_alone()


@shared_task
def deliver_webhooks() -> None:
    """Send webhooks, unless another worker is at it: slow receivers hold up one worker only."""
    from accounts.webhooks import delivering

    delivering.deliver_alone()


@shared_task
def trim_notices() -> None:
    """Forget old notices and deliveries."""
    from accounts import trimming

    trimming.trim()
