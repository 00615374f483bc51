"""Celery tasks. Each only says that rows may be waiting: a lost or repeated message is harmless."""

from celery import shared_task

from training.analysis import requests
from training.artifacts import garbage_collection
from training.scheduling import watchdog
from training.scheduling.dispatch import notify_workers_of_queued_jobs

# They listen to Celery's signals and must be known before a worker's pool forks.
from training.worker import engine_process, shutdown, worker_heartbeat  # noqa: F401


@shared_task
def work(compute_class: str) -> None:
    """There may be work for this compute class."""
    from training.worker import runner  # Here, so that only trainers load what training needs.

    runner.run_queued_jobs(compute_class)


@shared_task
def analyse() -> None:
    """Questions about finished models may be waiting."""
    requests.run_pending_analyses()


@shared_task
def watch() -> None:
    """End attempts whose worker fell silent or lets them run too long."""
    watchdog.check()


@shared_task
def pause_held() -> None:
    """Pause the jobs of teams on hold."""
    watchdog.pause_jobs_of_held_teams()


@shared_task
def dispatch() -> None:
    """Tell the trainers of every compute class with queued jobs."""
    notify_workers_of_queued_jobs()


@shared_task
def tidy() -> None:
    """Delete what is past its retention."""
    watchdog.cleanup()


@shared_task
def sweep_orphans() -> None:
    """Delete stored models that no row names."""
    garbage_collection.delete_orphans()
