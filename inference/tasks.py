"""Celery tasks. Each body is one call; a lost or repeated message changes nothing."""

from celery import shared_task

from inference import scheduled_deployments
from inference.batches import work
from inference.drift import notices
from inference.files import storing, uploads
from inference.fine_tuning import jobs
from inference.requests import retention
from inference.table_predictions import running

for name, function in {
    "carry_plans": scheduled_deployments.advance_all,
    "trim_request_log": retention.delete_old,
    "watch_drift": notices.notify_of_drift,
    "launch_fine_tunes": jobs.launch_waiting,
}.items():
    shared_task(name=f"inference.tasks.{name}")(function)


@shared_task
def delete_expired_files() -> None:
    """Free what expired files and abandoned uploads hold."""
    storing.delete_expired()
    uploads.delete_abandoned()


@shared_task
def work_on_batches() -> None:
    """Take the batch that has waited longest further, after making batches of tables."""
    running.prepare_due()
    work.work_on_next()
