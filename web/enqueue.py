"""Sending Celery tasks by name, so that nothing has to import a tasks module.

Every message is only a hint that rows are waiting: beat finds the rows even when the message is
lost. A broker that is away is therefore logged, never raised.
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

EXPIRES_SECONDS = 60  # By then beat has sent a message of its own.


def enqueue_on_commit(task: str, *args: object, queue: str | None = None) -> None:
    """Send the task once the current transaction has committed; at once when there is none.

    `robust`: what has been committed must not look failed because a later callback failed.
    """
    transaction.on_commit(lambda: enqueue(task, *args, queue=queue), robust=True)


def enqueue(task: str, *args: object, queue: str | None = None) -> None:
    """Send the task now. `task` is its registered name, for example "training.tasks.work"."""
    try:
        current_app.send_task(task, args, queue=queue, expires=EXPIRES_SECONDS, retry=False)
    except OperationalError as error:
        logger.warning("The broker did not take %s: %s", task, error)
