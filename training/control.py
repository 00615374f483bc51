"""What people do to a job: cancel, pause, resume. The row is the button; the worker obeys it."""

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from billing.models import RunEnd
from training import attempts, recording, schedule
from training.models import Attempt, TrainingJob


@transaction.atomic
def cancel(job: TrainingJob, viewer: User | ApiToken) -> None:
    """End the job for good; the meter stops now. Raises JobMovedOn when it is already over."""
    job.cancel(f"Cancelled by {_name(viewer)}")
    _stop_attempt(job, "cancelled")
    transaction.on_commit(lambda: recording.delete_unneeded_checkpoints(job.pk))
    audit.record(job.team, viewer, "job.cancelled", str(job.pk), name=job.name)


@transaction.atomic
def pause(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Stop for now; the meter stops now, the worker saves a checkpoint and leaves."""
    job.pause(f"Paused by {_name(viewer)}")
    _stop_attempt(job, "paused")
    audit.record(job.team, viewer, "job.paused", str(job.pk), name=job.name)


@transaction.atomic
def resume(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Queue a paused job again; it goes on from its last checkpoint."""
    job.resume(f"Resumed by {_name(viewer)}")
    schedule.nudge(job)
    audit.record(job.team, viewer, "job.resumed", str(job.pk), name=job.name)


def _stop_attempt(job: TrainingJob, reason: str) -> None:
    for attempt in Attempt.objects.live().filter(job=job):
        attempts.close(attempt, reason, RunEnd.STOPPED)


def _name(viewer: User | ApiToken) -> str:
    return viewer.created_by.email if isinstance(viewer, ApiToken) else viewer.email
