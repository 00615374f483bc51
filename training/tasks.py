"""Nudges. Each task's body is one call; a lost or repeated message changes nothing."""

from celery import shared_task

from training import leaving  # noqa: F401  (Must be known before the worker's pool forks.)


@shared_task
def work(compute_class: str) -> None:
    """There may be work for this compute class."""
    from training import execute  # Here, so that only trainers load what training needs.

    execute.next_job(compute_class)


@shared_task
def watch() -> None:
    """End attempts whose worker fell silent."""
    from training import watchdog

    watchdog.end_silent_attempts()


@shared_task
def dispatch() -> None:
    """Nudge every compute class that has waiting jobs."""
    from training import schedule

    schedule.nudge_waiting()
