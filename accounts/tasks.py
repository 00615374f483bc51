"""Celery's way into telling: e-mails and webhooks about notices."""

from celery import shared_task


@shared_task
def fan_out() -> None:
    from accounts.telling import fan_out_due

    fan_out_due()
