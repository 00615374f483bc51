"""A second chance: the same recipe as a new job, from the start or from a saved state."""

from typing import Any

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import ApiToken, User
from billing import budget as budgets
from training import schedule
from training.errors import AlreadyAgain, CannotLaunch, JobMovedOn, OverBudget, TeamFrozen
from training.models import Checkpoint, Status, TrainingJob

RETRYABLE = (Status.FAILED, Status.CANCELLED)
RESTARTABLE = (Status.FAILED, Status.CANCELLED, Status.PAUSED, Status.SUCCEEDED)
# What a new job takes over; everything else is its own.
TAKEN_OVER = (
    "team",
    "project",
    "dataset_version",
    "compute_class",
    "name",
    "task",
    "base_model",
    "source_model",
    "recipe",
    "estimate",
    "time_limit_seconds",
)


def retry(job: TrainingJob, viewer: User | ApiToken) -> TrainingJob:
    """A new job with the same recipe, from the start, linked to this failed or cancelled one.

    Raises JobMovedOn for a job that did not fail, and AlreadyAgain while a retry is under way.
    """
    if job.status not in RETRYABLE:
        raise JobMovedOn(
            f"Only a failed or cancelled job can be retried; this one is {job.status}."
        )
    return _launch_again(job, viewer, "retried", retry_of=job)


def restart(job: TrainingJob, checkpoint: Checkpoint, viewer: User | ApiToken) -> TrainingJob:
    """A new job that goes on from this checkpoint of an ended or paused one; only new work bills.

    Raises JobMovedOn while the job may still run, and CannotLaunch when the files are gone.
    """
    if job.status not in RESTARTABLE:
        raise JobMovedOn(
            f"Only an ended or paused job can be restarted from a checkpoint; this one is "
            f"{job.status}. Pause it first."
        )
    with transaction.atomic():
        # Against retention, which deletes the files of a checkpoint that nothing starts from.
        kept = Checkpoint.objects.select_for_update(of=("self",)).kept().filter(job=job)
        if not kept.filter(pk=checkpoint.pk).exists():
            raise CannotLaunch(
                f"The files of the checkpoint at step {checkpoint.step:,} are gone. Choose one "
                "that is kept, or retry from the start.",
                param="checkpoint",
            )
        return _launch_again(job, viewer, "restarted", start_from=checkpoint)


def _launch_again(job: TrainingJob, viewer: User | ApiToken, deed: str, **link: Any) -> TrainingJob:
    _refuse_unless_allowed(job)
    facts = {name: getattr(job, name) for name in TAKEN_OVER}
    launched_by = viewer.created_by if isinstance(viewer, ApiToken) else viewer
    try:
        with transaction.atomic():
            new = TrainingJob.objects.create(**facts, **link, launched_by=launched_by)
            step = f" from step {new.start_from.step:,}" if new.start_from else ""
            new.announce(
                Status.QUEUED,
                f"Queued for {job.compute_class.name}, an earlier job {deed}{step}",
                earlier=str(job.pk),
            )
            job.say(f"{deed.capitalize()}{step} as a new job", job=str(new.pk))
            audit.record(
                job.team, viewer, f"job.{deed}", str(job.pk), name=job.name, job=str(new.pk)
            )
            schedule.nudge(new)
    except IntegrityError as taken:
        if "training_job_one_unfinished" not in str(taken):
            raise
        raise AlreadyAgain from taken
    return new


def _refuse_unless_allowed(job: TrainingJob) -> None:
    if job.team.frozen_at:
        raise TeamFrozen
    if not job.compute_class.is_offered:
        raise CannotLaunch(
            f"{job.compute_class.name} is no longer offered. Launch again on another machine.",
            param="compute",
        )
    left = budgets.of(job.team).left_micro
    if left is not None and left <= 0:
        raise OverBudget("Nothing is left under this month's spend cap. Raise the cap first.")
