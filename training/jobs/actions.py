"""What people do to a job: cancel, pause, resume, retry, restart; operators also requeue, fail
with a refund and prioritise.

Each action is one guarded change of the job's row; the worker that runs the job reads that row.
"""

from typing import Any

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import ApiToken, User
from accounts.permissions import person_behind
from billing.budgets.budget import get_budget
from billing.models import RunEndReason
from training.errors import (
    AlreadyRetried,
    AttemptEnded,
    CannotLaunch,
    InvalidPriority,
    OverBudget,
    StaleJobState,
    TeamSuspended,
)
from training.estimates import announced_cost
from training.jobs import attempts
from training.models import Attempt, Checkpoint, FailureCode, PauseCode, Status, TrainingJob
from training.models.job import MAX_PRIORITY, TEAM_PRIORITY_RANGE
from training.scheduling import dispatch
from web.browser.trash import require_present
from web.rate_limits.actions import require_rate

RETRYABLE = (Status.FAILED, Status.CANCELLED)
RESTARTABLE = (Status.FAILED, Status.CANCELLED, Status.PAUSED, Status.SUCCEEDED)
# What a new job takes over; everything else is its own.
COPIED_FIELDS = (
    "team",
    "project",
    "dataset_version",
    "compute_class",
    "name",
    "task",
    "base_model",
    "source_model",
    "initial_model",
    "recipe",
    "time_limit_seconds",
)


@transaction.atomic
def cancel(job: TrainingJob, viewer: User | ApiToken) -> None:
    """End the job for good; the meter stops now. Raises StaleJobState when it is already over."""
    job.cancel(f"Cancelled by {person_behind(viewer).email}")
    _close_attempt(job, Attempt.EndReason.CANCELLED)
    audit.record(job.team, viewer, "job.cancelled", str(job.pk), name=job.name)


@transaction.atomic
def pause(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Stop for now; the meter stops now, the worker saves a checkpoint and leaves."""
    job.pause(f"Paused by {person_behind(viewer).email}", by=person_behind(viewer))
    _close_attempt(job, Attempt.EndReason.PAUSED)
    audit.record(job.team, viewer, "job.paused", str(job.pk), name=job.name)


@transaction.atomic
def pause_for_hold(job: TrainingJob) -> None:
    """The team was put on hold: stop for now, as a person's pause does."""
    job.pause(
        "Paused: this team is on hold because of unusual spending. Release the hold, then resume.",
        code=PauseCode.HOLD,
    )
    _close_attempt(job, Attempt.EndReason.HELD)


@transaction.atomic
def resume(job: TrainingJob, viewer: User | ApiToken) -> None:
    """Queue a paused job again; it goes on from its last checkpoint."""
    if job.pause_code == PauseCode.COST:
        announced_cost.agree_to_more(job)
    job.resume(f"Resumed by {person_behind(viewer).email}")
    dispatch.notify_workers(job)
    audit.record(job.team, viewer, "job.resumed", str(job.pk), name=job.name)


def retry(job: TrainingJob, viewer: User | ApiToken) -> TrainingJob:
    """A new job with the same recipe, from the start, linked to this failed or cancelled one.

    Raises StaleJobState for a job that did not fail, and AlreadyRetried while a retry is under way.
    """
    require_rate("launches", job.team_id)
    if job.status not in RETRYABLE:
        raise StaleJobState(
            f"Only a failed or cancelled job can be retried; this one is {job.status}."
        )
    return _create_copy(job, viewer, "retried", retry_of=job)


def restart(job: TrainingJob, checkpoint: Checkpoint, viewer: User | ApiToken) -> TrainingJob:
    """A new job that goes on from this checkpoint of an ended or paused one; only new work bills.

    Raises StaleJobState while the job may still run, and CannotLaunch when the files are gone.
    """
    require_rate("launches", job.team_id)
    if job.status not in RESTARTABLE:
        raise StaleJobState(
            f"Only an ended or paused job can be restarted from a checkpoint; this one is "
            f"{job.status}. Pause it first."
        )
    with transaction.atomic():
        # Against retention, which deletes the files of a checkpoint that nothing starts from.
        checkpoints = Checkpoint.objects.select_for_update(of=("self",)).kept().filter(job=job)
        if not checkpoints.filter(pk=checkpoint.pk).exists():
            raise CannotLaunch(
                f"The files of the checkpoint at step {checkpoint.step:,} are gone. Choose one "
                "that is kept, or retry from the start.",
                param="checkpoint",
            )
        return _create_copy(job, viewer, "restarted", start_from=checkpoint)


@transaction.atomic
def requeue(job: TrainingJob, operator: User) -> None:
    """Paused: resume. Running: take it from its worker, refunding what no checkpoint holds.

    Raises StaleJobState where the team has not agreed to what the job would cost.
    """
    if job.status == Status.PAUSED and job.pause_code == PauseCode.COST:
        raise StaleJobState("This job waits for its team to agree to a higher cost.")
    attempt = Attempt.objects.live().filter(job=job).select_related("job").first()
    if attempt is None:
        resume(job, operator)
        return
    try:
        attempts.release(attempt, "Queued again by an operator.")
    except AttemptEnded as over:
        raise StaleJobState from over
    dispatch.notify_workers(job)
    audit.record(job.team, operator, "job.requeued", str(job.pk), name=job.name)


@transaction.atomic
def fail_with_refund(job: TrainingJob, operator: User, reason: str) -> None:
    """End a job that cannot end well, and give back everything it was charged."""
    job.fail(FailureCode.INTERNAL, f"Stopped by the operator: {reason} You were not charged.")
    _close_attempt(job, Attempt.EndReason.FAILED_BY_OPERATOR)
    attempts.refund_unless_charged(job, FailureCode.INTERNAL)
    audit.record(job.team, operator, "job.failed", str(job.pk), name=job.name, reason=reason)


@transaction.atomic
def prioritise(job: TrainingJob, priority: int, operator: User) -> None:
    """Change a queued or paused job's place; above a team's own bounds it overtakes all teams."""
    if not TEAM_PRIORITY_RANGE[0] <= priority <= MAX_PRIORITY:
        raise InvalidPriority
    waiting = TrainingJob.objects.filter(pk=job.pk, status__in=[Status.QUEUED, Status.PAUSED])
    if not waiting.update(priority=priority):
        raise StaleJobState
    job.refresh_from_db()
    job.add_event(f"Priority set to {priority} by an operator")
    audit.record(job.team, operator, "job.prioritised", str(job.pk), priority=priority)


def _create_copy(job: TrainingJob, viewer: User | ApiToken, deed: str, **link: Any) -> TrainingJob:
    _require_launch_allowed(job)
    facts = {name: getattr(job, name) for name in COPIED_FIELDS}
    facts["estimate"] = announced_cost.without_agreement(job.estimate)
    try:
        with transaction.atomic():
            new = TrainingJob.objects.create(**facts, **link, launched_by=person_behind(viewer))
            step = f" from step {new.start_from.step:,}" if new.start_from else ""
            new.record_status_change(
                Status.QUEUED,
                f"Queued for {job.compute_class.name}, an earlier job {deed}{step}",
                earlier=str(job.pk),
            )
            job.add_event(f"{deed.capitalize()}{step} as a new job", job=str(new.pk))
            audit.record(
                job.team, viewer, f"job.{deed}", str(job.pk), name=job.name, job=str(new.pk)
            )
            dispatch.notify_workers(new)
    except IntegrityError as taken:
        if "training_job_one_unfinished" not in str(taken):
            raise
        raise AlreadyRetried from taken
    return new


def _require_launch_allowed(job: TrainingJob) -> None:
    if job.team.frozen_at:
        raise TeamSuspended
    require_present(job.project, job.dataset_version.dataset, job)
    if not job.compute_class.is_offered:
        raise CannotLaunch(
            f"{job.compute_class.name} is no longer offered. Launch again on another machine.",
            param="compute",
        )
    budget = get_budget(job.team)
    if budget.left_micro == 0:
        raise OverBudget(f"Nothing is left to spend this month. {budget.advice}")


def _close_attempt(job: TrainingJob, reason: Attempt.EndReason) -> None:
    for attempt in Attempt.objects.live().filter(job=job):
        attempts.close(attempt, reason, RunEndReason.STOPPED)
