"""What a dead worker cannot say itself."""

import logging
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from billing import metering
from billing.models import Budget, RunEnd
from training import attempts, control, limits, registry, retention, schedule
from training.errors import AttemptEnded, JobMovedOn
from training.models import Attempt, Status, TrainingJob

logger = logging.getLogger(__name__)

# A worker told to stop by its own lease needs this long to save and say so itself.
GRACE = timedelta(seconds=30)


def look() -> None:
    """What must be looked at every few seconds."""
    end_silent_attempts()
    end_overrun_attempts()


def tidy() -> None:
    """What may wait an hour."""
    retention.sweep()
    registry.forget_old()


def end_silent_attempts() -> int:
    """End every attempt whose lease has run out; its job resumes elsewhere. Returns how many."""
    storing = Q(publishing_at__gt=now() - timedelta(seconds=settings.LEASE_SECONDS))
    silent = Attempt.objects.live().filter(
        Q(run__ended_at=None, run__lease_until__lt=now())
        | Q(Q(run__ended_at__lt=now() - GRACE), ~storing)
    )
    return sum(_end(attempt) for attempt in silent.select_related("run", "job"))


def end_overrun_attempts() -> int:
    """Fail every job that runs past its time limit unnoticed by its worker. Returns how many."""
    live = Attempt.objects.live().filter(publishing_at=None)
    over = [
        attempt
        for attempt in live.select_related("run", "job__compute_class")
        if limits.is_overrun(attempt)
    ]
    for attempt in over:
        with suppress(AttemptEnded):
            attempts.run_out_of_time(attempt)
            logger.warning("Attempt %s of job %s overran", attempt.number, attempt.job_id)
    return len(over)


def pause_held_teams() -> int:
    """Pause what runs for teams that billing put on hold; returns how many jobs."""
    held = Budget.objects.filter(held_at__isnull=False).values("team")
    paused = 0
    storing = Attempt.objects.live().filter(publishing_at__isnull=False).values("job")
    running = TrainingJob.objects.filter(status=Status.RUNNING, team__in=held)
    for job in running.exclude(pk__in=storing):  # Their work is done and paid for.
        with suppress(JobMovedOn):
            control.pause_held(job)
            paused += 1
    return paused


@transaction.atomic
def _end(attempt: Attempt) -> bool:
    # Job before budget before run: the order in which everybody locks.
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=attempt.job_id)
    was_silent = attempt.run.ended_at is not None or metering.reap(attempt.run_id)
    if not was_silent:
        return False  # It spoke up in between.
    with suppress(AttemptEnded):
        if attempt.run.end_reason == RunEnd.CAP:
            attempts.pause_at_cap(attempt, schedule.PAUSED_AT_CAP)
        else:
            attempts.lose(attempt, f"The worker {attempt.worker} fell silent.")
        logger.warning("Attempt %s of job %s fell silent", attempt.number, job.pk)
    if job.status != Status.RUNNING:
        attempts.close(attempt, limits.LOST, RunEnd.LEASE)
    job.refresh_from_db()
    if job.status == Status.QUEUED:
        schedule.nudge(job)
    return True
