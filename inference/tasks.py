"""Celery tasks. Each body is one call; a lost or repeated message changes nothing."""

from celery import shared_task

from inference import request_log, scheduled_deployments
from inference.batches import work
from inference.drift import notices
from inference.files import storing, uploads
from inference.fine_tuning import jobs
from inference.table_predictions import running


@shared_task
def carry_plans() -> None:
    """Launch and deploy what was scheduled and is due."""
    scheduled_deployments.advance_all()


@shared_task
def trim_request_log() -> None:
    """Delete old requests from the log."""
    request_log.delete_old()


@shared_task
def watch_drift() -> None:
    """Tell teams whose requests no longer look like what their model learnt from."""
    notices.notify_of_drift()


@shared_task
def launch_fine_tunes() -> None:
    """Launch the fine-tunes whose training file has been imported."""
    jobs.launch_waiting()


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
