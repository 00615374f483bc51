"""Advances scheduled deployments: launches after the import, deploys after the job's success.

A beat task calls `advance_all`, because lower apps do not know that schedules exist. Each step is
atomic by itself and repeating it is harmless, so a crash or an absent storage leaves the schedule
open for the next round.
"""

import logging
from pathlib import PurePath
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts.models import User
from accounts.permissions import require_permission
from inference import deployments
from inference.errors import (
    BlockedByPromotionRule,
    CannotServe,
    DeploymentNameTaken,
    JobAlreadyFinished,
)
from inference.models import Deployment, ScheduledDeployment
from projects.models import DatasetVersion, ImportStatus
from training.jobs.launch import LaunchRequest, launch, suggested_task
from training.models import Status, TrainedModel, TrainingJob
from web.advisory_lock import try_advisory_lock
from web.errors import UserError
from web.sse import notify

logger = logging.getLogger(__name__)

QUICK_METHOD = {"method": "probe"}
QUICK_TASKS = ("text-classification", "text-regression")  # They have it.


@transaction.atomic
def deploy_when_succeeded(job: TrainingJob, name: str, person: User) -> ScheduledDeployment:
    """Schedule serving the job's model under this name. Scheduling again only changes the name."""
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
    if job.is_finished:
        raise JobAlreadyFinished
    scheduled, _ = ScheduledDeployment.objects.update_or_create(
        job=job, defaults={"team": job.team, "name": name, "requested_by": person}
    )
    return scheduled


def launch_when_ready(version: DatasetVersion, name: str, person: User) -> ScheduledDeployment:
    """Schedule a fine-tune with the suggested settings for when the import is ready, and serving
    its model."""
    return ScheduledDeployment.objects.create(
        team=version.dataset.project.team, dataset_version=version, name=name, requested_by=person
    )


def advance_all() -> None:
    """Take the next step of every schedule whose job or import has finished."""
    for scheduled_id in ScheduledDeployment.objects.due().values_list("pk", flat=True):
        # A lock by name and not on the row: a promotion rule downloads files and computes for
        # seconds, which must not happen inside a transaction.
        with try_advisory_lock(f"scheduled-deployment:{scheduled_id}") as is_free:
            if not is_free:
                continue
            try:
                _advance(scheduled_id)
            except Exception:  # One schedule that cannot go on must not hold up the others.
                logger.exception("Scheduled deployment %s stays open", scheduled_id)


def _advance(scheduled_id: UUID) -> None:
    scheduled = (
        ScheduledDeployment.objects.open()
        .select_related("requested_by", "dataset_version", "job__model", "team")
        .filter(pk=scheduled_id)
        .first()
    )
    if scheduled is None:  # Another worker closed it before this one took the lock.
        return
    try:
        # The person may have left the team since.
        require_permission(scheduled.requested_by, scheduled.team, "write")
        if scheduled.job is not None:
            _deploy_if_finished(scheduled, scheduled.job)
        elif scheduled.dataset_version is not None:
            _launch_if_ready(scheduled, scheduled.dataset_version)
    except UserError as refusal:
        _close(scheduled, f"Given up: {refusal.sentence}")


def _launch_if_ready(scheduled: ScheduledDeployment, version: DatasetVersion) -> None:
    """Of texts the quick method first, which is live within a minute; of other data there is one
    method."""
    if version.status == ImportStatus.FAILED:
        _close(scheduled, f"Given up: the import failed. {version.failure_sentence}")
    elif version.status == ImportStatus.READY:
        request = LaunchRequest()
        if suggested_task(version) in QUICK_TASKS:
            stem = PurePath(version.dataset.name).stem
            request = LaunchRequest(name=f"{stem} · quick", hyperparameters=dict(QUICK_METHOD))
        with transaction.atomic():
            scheduled.job = _launch(scheduled, version, request)
            scheduled.save(update_fields=["job"])


def _launch(
    scheduled: ScheduledDeployment, version: DatasetVersion, request: LaunchRequest
) -> TrainingJob:
    person = scheduled.requested_by
    return launch(dataset_version=version, user=person, viewer=person, request=request)


def _deploy_if_finished(scheduled: ScheduledDeployment, job: TrainingJob) -> None:
    deployment = None
    if job.status == Status.SUCCEEDED and job.model is not None:
        deployment, outcome = _deploy_model(scheduled, job.model)
    elif job.is_finished:
        what_happened = "failed" if job.status == Status.FAILED else "was cancelled"
        outcome = f"Given up: the job {what_happened}."
    else:
        return
    with transaction.atomic():
        _close(scheduled, outcome, deployment)
        if job.status != Status.CANCELLED:
            _follow_with_thorough(scheduled, job)
    notify(job.channel)


def _follow_with_thorough(scheduled: ScheduledDeployment, job: TrainingJob) -> None:
    """After the quick model the suggested settings, which take over its name. Not before: until a
    model answers, nothing else should take the machine."""
    version, chosen = scheduled.dataset_version, job.recipe.get("hyperparameters") or {}
    if version is None or chosen.get("method") != QUICK_METHOD["method"]:
        return
    try:
        with transaction.atomic():
            thorough = _launch(scheduled, version, LaunchRequest())
            deploy_when_succeeded(thorough, scheduled.name, scheduled.requested_by)
    except UserError as refusal:  # Too little money, say: the quick model answers nevertheless.
        logger.info("Nothing follows %s: %s", job.name, refusal.sentence)


def _deploy_model(scheduled: ScheduledDeployment, model: TrainedModel) -> tuple[Deployment, str]:
    """Deploy the model, or move a name that already serves, and say what came of it.

    A promotion rule may keep the name where it is; its sentence is then the outcome.
    """
    done = f"Deployed as {scheduled.name}."
    try:
        return deployments.deploy(model, scheduled.name, scheduled.requested_by), done
    except DeploymentNameTaken:
        serving = Deployment.objects.serving().get(team=scheduled.team, name=scheduled.name)
    if serving.model_id == model.pk:  # A round that was cut off before it closed the schedule.
        return serving, done
    try:
        deployments.move(serving, model, scheduled.requested_by)
    except (BlockedByPromotionRule, CannotServe) as refusal:
        return serving, f"Not deployed: {refusal.sentence}"
    return serving, done


def _close(
    scheduled: ScheduledDeployment, outcome: str, deployment: Deployment | None = None
) -> None:
    scheduled.settled_at, scheduled.outcome = now(), outcome[:255]
    scheduled.deployment = deployment
    scheduled.save(update_fields=["settled_at", "outcome", "deployment"])
