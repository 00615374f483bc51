"""What a dead worker cannot say itself."""

import logging
from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from billing import metering
from billing.models import RunEnd
from training import attempts, recording, schedule
from training.errors import AttemptEnded
from training.models import Attempt, Status, TrainingJob

logger = logging.getLogger(__name__)

# A worker told to stop by its own lease needs this long to save and say so itself.
GRACE = timedelta(seconds=30)


def end_silent_attempts() -> int:
    """End every attempt whose lease has run out; its job resumes elsewhere. Returns how many."""
    silent = Attempt.objects.live().filter(
        Q(run__ended_at=None, run__lease_until__lt=now()) | Q(run__ended_at__lt=now() - GRACE)
    )
    return sum(_end(attempt) for attempt in silent.select_related("run", "job"))


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
        attempts.close(attempt, attempts.LOST, RunEnd.LEASE)
    job.refresh_from_db()
    if job.status == Status.QUEUED:
        schedule.nudge(job)
    transaction.on_commit(lambda: recording.delete_unneeded_checkpoints(job.pk))
    return True
