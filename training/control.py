"""What people do to a job. The row is the button; the worker obeys it.

Customers cancel, pause and resume; operators also requeue, fail with a refund and prioritise.
"""

from django.db import transaction

from accounts import audit
from accounts.models import ApiToken, User
from billing.models import RunEnd
from training import attempts, schedule
from training.errors import AttemptEnded, BadPriority, JobMovedOn
from training.models import Attempt, FailureCode, PauseCode, Status, TrainingJob
from training.models.jobs import HIGHEST_PRIORITY, TEAM_PRIORITIES


@transaction.atomic
def cancel(job: TrainingJob, viewer: User | ApiToken) -> None:
    """End the job for good; the meter stops now. Raises JobMovedOn when it is already over."""
    job.cancel(f"Cancelled by {_name(viewer)}")
    _stop_attempt(job, "cancelled")
    audit.record(job.team, viewer, "job.cancelled", str(job.pk), name=job.name)


@transaction.atomic
def pause(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Stop for now; the meter stops now, the worker saves a checkpoint and leaves."""
    job.pause(f"Paused by {_name(viewer)}", by=_person(viewer))
    _stop_attempt(job, "paused")
    audit.record(job.team, viewer, "job.paused", str(job.pk), name=job.name)


@transaction.atomic
def pause_held(job: TrainingJob) -> None:
    """The team was put on hold: stop for now, as a person's pause does."""
    job.pause(
        "Paused: this team is on hold because of unusual spending. Release the hold, then resume.",
        code=PauseCode.HOLD,
    )
    _stop_attempt(job, "on hold")


@transaction.atomic
def resume(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Queue a paused job again; it goes on from its last checkpoint."""
    job.resume(f"Resumed by {_name(viewer)}")
    schedule.nudge(job)
    audit.record(job.team, viewer, "job.resumed", str(job.pk), name=job.name)


@transaction.atomic
def requeue(job: TrainingJob, operator: User) -> None:
    """Paused: resume. Running: take it from its worker, refunding what no checkpoint holds."""
    attempt = Attempt.objects.live().filter(job=job).select_related("job").first()
    if attempt is None:
        resume(job, operator)
        return
    try:
        attempts.hand_back(attempt, "Queued again by an operator.")
    except AttemptEnded as over:
        raise JobMovedOn from over
    schedule.nudge(job)
    audit.record(job.team, operator, "job.requeued", str(job.pk), name=job.name)


@transaction.atomic
def fail_with_refund(job: TrainingJob, operator: User, reason: str) -> None:
    """End a job that cannot end well, and give back everything it was charged."""
    job.fail(FailureCode.INTERNAL, f"Stopped by the operator: {reason} You were not charged.")
    _stop_attempt(job, "failed by an operator")
    attempts.refund_unless_charged(job, FailureCode.INTERNAL)
    audit.record(job.team, operator, "job.failed", str(job.pk), name=job.name, reason=reason)


@transaction.atomic
def prioritise(job: TrainingJob, priority: int, operator: User) -> None:
    """Change a queued or paused job's place; above a team's own bounds it overtakes all teams."""
    if not TEAM_PRIORITIES[0] <= priority <= HIGHEST_PRIORITY:
        raise BadPriority
    waiting = TrainingJob.objects.filter(pk=job.pk, status__in=[Status.QUEUED, Status.PAUSED])
    if not waiting.update(priority=priority):
        raise JobMovedOn
    job.refresh_from_db()
    job.say(f"Priority set to {priority} by an operator")
    audit.record(job.team, operator, "job.prioritised", str(job.pk), priority=priority)


def _stop_attempt(job: TrainingJob, reason: str) -> None:
    for attempt in Attempt.objects.live().filter(job=job):
        attempts.close(attempt, reason, RunEnd.STOPPED)


def _name(viewer: User | ApiToken) -> str:
    return _person(viewer).email


def _person(viewer: User | ApiToken) -> User:
    return viewer.created_by if isinstance(viewer, ApiToken) else viewer
