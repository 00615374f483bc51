"""Celery tasks. Each body is one call; a lost or repeated message changes nothing."""

from uuid import UUID

from celery import Task, shared_task

from assistants import delivery
from assistants.consultations import originals
from assistants.conversations import metering, spoken, watchdog
from assistants.mail import receiving
from assistants.trash import purge
from assistants.versions import building, classifier, scheduling, shadow

TRIES_FOR_ORDER = 3  # A second each.

for name, function in {
    "build_scheduled": scheduling.build_due,
    "watch_conversations": watchdog.watch,
    "count_answers": metering.count_answers,
    "deliver_replies": delivery.deliver_due,
    "read_mailboxes": receiving.read_due_mailboxes,
    "delete_expired_speech": spoken.delete_expired,
    "empty_trash": purge.purge_assistants,
}.items():
    shared_task(name=f"assistants.tasks.{name}")(function)


@shared_task
def build_versions() -> None:
    """Train the classifiers of versions, and measure those that have theirs."""
    classifier.advance_classifiers()
    building.build_pending()


@shared_task(bind=True, max_retries=TRIES_FOR_ORDER)
def decide_in_shadow(task: "Task[..., None]", decision_id: str, sealed: str = "") -> None:
    """What the shadow version says to a question that was answered; after the one before it."""
    try:
        waits = task.request.retries < TRIES_FOR_ORDER
        shadow.decide_in_shadow(UUID(decision_id), sealed, waits=waits)
    except shadow.OutOfOrder as problem:
        raise task.retry(countdown=1) from problem


@shared_task
def delete_expired_conversations() -> None:
    """Delete what assistants keep no longer."""
    watchdog.delete_expired()
    originals.delete_expired()
