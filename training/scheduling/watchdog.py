"""Ends attempts whose worker is silent or whose limits are reached, and tidies what jobs leave."""

import logging
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from billing.metering import runs
from billing.models import Budget, RunEndReason
from training.artifacts import checkpoint_retention, purge
from training.errors import AttemptEnded, StaleJobState
from training.jobs import actions, attempts, limits
from training.models import Attempt, Status, TrainingJob
from training.scheduling import claims, dispatch, workers

logger = logging.getLogger(__name__)

# A worker told to stop by its own lease needs this long to save and say so itself.
SHUTDOWN_GRACE = timedelta(seconds=30)


def check() -> None:
    """What must be looked at every few seconds."""
    end_silent_attempts()
    end_overrun_attempts()


def cleanup() -> None:
    """What may wait an hour."""
    checkpoint_retention.delete_expired()
    purge.purge_models()
    purge.purge_jobs()
    workers.delete_old()


def end_silent_attempts() -> int:
    """End every attempt whose lease has run out; its job resumes elsewhere. Returns how many."""
    storing = Q(publishing_at__gt=now() - timedelta(seconds=settings.LEASE_SECONDS))
    silent = Attempt.objects.live().filter(
        Q(run__ended_at=None, run__lease_until__lt=now())
        | Q(Q(run__ended_at__lt=now() - SHUTDOWN_GRACE), ~storing)
    )
    return sum(_end_silent_attempt(attempt) for attempt in silent.select_related("run", "job"))


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
            attempts.fail_at_time_limit(attempt)
            logger.warning("Attempt %s of job %s overran", attempt.number, attempt.job_id)
    return len(over)


def pause_jobs_of_held_teams() -> int:
    """Pause what runs for teams that billing put on hold; returns how many jobs."""
    held = Budget.objects.filter(held_at__isnull=False).values("team")
    paused = 0
    storing = Attempt.objects.live().filter(publishing_at__isnull=False).values("job")
    running = TrainingJob.objects.filter(status=Status.RUNNING, team__in=held)
    for job in running.exclude(pk__in=storing):  # Their work is done and paid for.
        with suppress(StaleJobState):
            actions.pause_for_hold(job)
            paused += 1
    return paused


@transaction.atomic
def _end_silent_attempt(attempt: Attempt) -> bool:
    # Job before budget before run: the order in which everybody locks.
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=attempt.job_id)
    was_silent = attempt.run.ended_at is not None or runs.expire_lease(attempt.run_id)
    if not was_silent:
        return False  # It spoke up in between.
    with suppress(AttemptEnded):
        if attempt.run.end_reason == RunEndReason.CAP:
            attempts.pause_at_spend_cap(attempt, claims.PAUSED_AT_CAP_MESSAGE)
        else:
            attempts.fail_lost(attempt, f"The worker {attempt.worker} fell silent.")
        logger.warning("Attempt %s of job %s fell silent", attempt.number, job.pk)
    if job.status != Status.RUNNING:
        attempts.close(attempt, Attempt.EndReason.LOST, RunEndReason.LEASE)
    job.refresh_from_db()
    if job.status == Status.QUEUED:
        dispatch.notify_workers(job)
    return True
