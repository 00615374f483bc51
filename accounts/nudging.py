"""Sending Celery's nudges after commit. A lost one costs seconds: beat sends its own."""

from typing import Any

from django.db import transaction

from accounts import tasks


def nudge_fan_out() -> None:
    _after_commit(tasks.fan_out)


def nudge_emails() -> None:
    _after_commit(tasks.send_emails)


def nudge_deliveries() -> None:
    _after_commit(tasks.deliver_webhooks)


def _after_commit(task: Any) -> None:
    """Robust: what has been committed must not look failed because the broker is away."""
    transaction.on_commit(lambda: task.apply_async(expires=60, retry=False), robust=True)
