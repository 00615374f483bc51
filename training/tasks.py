"""Nudges. Each task's body is one call; a lost or repeated message changes nothing."""

from celery import shared_task

# They listen to Celery's signals and must be known before a worker's pool forks.
from training import leaving, presence, ready_engine  # noqa: F401


@shared_task
def work(compute_class: str) -> None:
    """There may be work for this compute class."""
    from training import execute  # Here, so that only trainers load what training needs.

    execute.next_job(compute_class)


@shared_task
def analyse() -> None:
    """Questions about finished models may be waiting."""
    from training import analyses  # Here, because it asks for this task.

    analyses.answer_all()


@shared_task
def watch() -> None:
    """End attempts whose worker fell silent or lets them run too long."""
    from training import watchdog

    watchdog.look()


@shared_task
def pause_held() -> None:
    """Pause the jobs of teams on hold."""
    from training import watchdog

    watchdog.pause_held_teams()


@shared_task
def dispatch() -> None:
    """Nudge every compute class that has waiting jobs."""
    from training import schedule

    schedule.nudge_waiting()


@shared_task
def tidy() -> None:
    """Free what nobody needs any more."""
    from training import watchdog

    watchdog.tidy()


@shared_task
def sweep_orphans() -> None:
    """Delete stored models that no row names."""
    from training import orphans

    orphans.sweep()
