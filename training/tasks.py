"""Celery tasks. Each only says that rows may be waiting: a lost or repeated message is harmless."""

from celery import shared_task

from training.analysis import requests
from training.artifacts import garbage_collection
from training.scheduling import watchdog
from training.scheduling.dispatch import notify_workers_of_queued_jobs

# They listen to Celery's signals and must be known before a worker's pool forks.
from training.worker import engine_process, shutdown, worker_heartbeat  # noqa: F401

for name, function in {
    "analyse": requests.run_pending_analyses,
    "watch": watchdog.check,
    "pause_held": watchdog.pause_jobs_of_held_teams,
    "dispatch": notify_workers_of_queued_jobs,
    "tidy": watchdog.cleanup,
    "sweep_orphans": garbage_collection.delete_orphans,
}.items():
    shared_task(name=f"training.tasks.{name}")(function)


@shared_task
def work(compute_class: str) -> None:
    """There may be work for this compute class."""
    from training.worker import runner  # Here, so that only trainers load what training needs.

    runner.run_queued_jobs(compute_class)
