"""Nudges about money. Each task's body is one call; a lost or repeated message changes nothing."""

from celery import shared_task


@shared_task
def expire_credit() -> None:
    """Book back credit whose time is over."""
    from billing import credits

    credits.expire_due()


@shared_task
def warn_of_expiry() -> None:
    """Say which credit expires within a week."""
    from billing import credits

    credits.warn_of_expiry()
