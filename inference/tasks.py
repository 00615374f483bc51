"""Nudges. Each task's body is one call; a lost or repeated message changes nothing."""

from celery import shared_task


@shared_task
def carry_plans() -> None:
    """Launch and deploy what was planned and whose turn has come."""
    from inference import planning  # Here, so that the web process need not load it.

    planning.carry_all()


@shared_task
def trim_request_log() -> None:
    """Forget old requests."""
    from inference import request_log

    request_log.trim()
