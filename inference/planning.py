"""Carries deployment plans: launches what waits for its import, deploys what has succeeded.

Pulled by a beat task, because lower apps do not know that plans exist. Repeating it is harmless.
"""

import logging
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts.access import require
from accounts.models import User
from inference import deploy
from inference.errors import CannotServe, KeptByRule, NameTaken, PlanSettled
from inference.models import Deployment, DeploymentPlan
from projects.models import DatasetVersion, ImportStatus
from training.launch import LaunchRequest, launch
from training.models import Status, TrainingJob
from web.errors import UserError
from web.live import notify

logger = logging.getLogger(__name__)


@transaction.atomic
def deploy_when_succeeded(job: TrainingJob, name: str, person: User) -> DeploymentPlan:
    """Plan to serve the job's model under this name. Planning again only changes the name."""
    job = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
    if job.is_finished:
        raise PlanSettled
    plan, _ = DeploymentPlan.objects.update_or_create(
        job=job, defaults={"team": job.team, "name": name, "requested_by": person}
    )
    return plan


def launch_when_ready(version: DatasetVersion, name: str, person: User) -> DeploymentPlan:
    """Plan a fine-tune with the suggested settings once the import is ready, then to serve it."""
    team = version.dataset.project.team
    return DeploymentPlan.objects.create(
        team=team, dataset_version=version, name=name, requested_by=person
    )


def carry_all() -> None:
    """Bring every open plan one step further, as far as its turn has come."""
    for plan_id in DeploymentPlan.objects.open().values_list("pk", flat=True):
        _carry(plan_id)


@transaction.atomic
def _carry(plan_id: UUID) -> None:
    plan = (
        DeploymentPlan.objects.open()
        .select_for_update(of=("self",), skip_locked=True)
        .select_related("requested_by", "dataset_version", "job__model", "team")
        .filter(pk=plan_id)
        .first()
    )
    if plan is None:
        return
    try:
        with transaction.atomic():
            _take_step(plan)
    except UserError as refusal:
        _settle(plan, f"Given up: {refusal.sentence}")


def _take_step(plan: DeploymentPlan) -> None:
    require(plan.requested_by, plan.team, "write")  # They may have left since.
    if plan.job is not None:
        _deploy_if_finished(plan, plan.job)
    elif plan.dataset_version is not None:
        _launch_if_ready(plan, plan.dataset_version)


def _launch_if_ready(plan: DeploymentPlan, version: DatasetVersion) -> None:
    if version.status == ImportStatus.FAILED:
        _settle(plan, f"Given up: the import failed. {version.failure_sentence}")
    elif version.status == ImportStatus.READY:
        plan.job = _launch(plan, version)
        plan.save(update_fields=["job"])


def _launch(plan: DeploymentPlan, version: DatasetVersion) -> TrainingJob:
    """A fine-tune with the suggested mapping and the defaults."""
    person = plan.requested_by
    return launch(dataset_version=version, user=person, viewer=person, wanted=LaunchRequest())


def _deploy_if_finished(plan: DeploymentPlan, job: TrainingJob) -> None:
    if job.status == Status.SUCCEEDED and job.model is not None:
        plan.deployment, outcome = _deployed(plan, job)
        plan.save(update_fields=["deployment"])
        _settle(plan, outcome)
        notify(job.channel)
    elif job.is_finished:
        what_happened = "failed" if job.status == Status.FAILED else "was cancelled"
        _settle(plan, f"Given up: the job {what_happened}.")


def _deployed(plan: DeploymentPlan, job: TrainingJob) -> tuple[Deployment, str]:
    """A name that is already serving moves to the new model: that is what was asked for. Unless
    its promotion rule keeps it; then the verdict is what the plan came to."""
    assert job.model is not None
    done = f"Deployed as {plan.name}."
    try:
        return deploy.deploy(job.model, plan.name, plan.requested_by), done
    except NameTaken:
        serving = Deployment.objects.serving().get(team=plan.team, name=plan.name)
    try:
        deploy.move(serving, job.model, plan.requested_by)
    except (KeptByRule, CannotServe) as kept:
        return serving, f"Not deployed: {kept.sentence}"
    return serving, done


def _settle(plan: DeploymentPlan, outcome: str) -> None:
    plan.settled_at, plan.outcome = now(), outcome[:255]
    plan.save(update_fields=["settled_at", "outcome"])
