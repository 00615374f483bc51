"""Deploys a fine-tuned model when its name is first asked for."""

from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from accounts.models import ApiToken, User
from accounts.permissions import has_permission
from inference import deployments
from inference.errors import DeploymentNameTaken, NoSuchObject, NotDeployedYet
from inference.fine_tuning.names import find_named_job, split_checkpoint
from inference.fine_tuning.requests import GENERATION_TASK
from inference.models import Deployment, FineTuningJob, ScheduledDeployment
from training.models import Checkpoint, Status, TrainingJob


@transaction.atomic
def deploy_on_demand(team_id: UUID, name: str, token_id: UUID | None) -> None:
    """Serve the model of this name, or the checkpoint, if it is a finished fine-tune's and was not
    deleted.

    A fine-tune that was started through the API is deployed for whoever started it; another one
    needs a token that may write. Raises NoSuchObject, NotDeployedYet, or what deploying raises.
    """
    job_name, step = split_checkpoint(name)
    job = find_named_job(team_id, job_name)
    if job is None or Deployment.objects.filter(team_id=team_id, name=name).exists():
        return
    if job.job is None or job.job.status != Status.SUCCEEDED or job.job.model is None:
        status = job.job.status if job.job else "not started yet"
        raise NoSuchObject(f"{name} does not exist yet: its job is {status}.", param="model")
    checkpoint = None if step is None else _find_checkpoint(job.job, job_name, step)
    scheduled = ScheduledDeployment.objects.open().filter(job=job.job, name=job_name).first()
    viewer = _who_deploys(job, scheduled, token_id, is_checkpoint=checkpoint is not None)
    if viewer is None:
        raise NotDeployedYet(param="model")
    try:
        with transaction.atomic():
            deployment = deployments.deploy(job.job.model, name, viewer, checkpoint)
    except DeploymentNameTaken:  # Two asked at the same moment.
        return
    if (
        scheduled is not None and checkpoint is None
    ):  # Else it would deploy the model again after a deletion.
        scheduled.settled_at, scheduled.deployment = now(), deployment
        scheduled.outcome = f"Deployed as {name}."[:255]
        scheduled.save(update_fields=["settled_at", "deployment", "outcome"])


def _find_checkpoint(job: TrainingJob, name: str, step: int) -> Checkpoint:
    """The kept state of this step. Raises NoSuchObject."""
    checkpoint = job.checkpoints.kept().filter(step=step).order_by("-pk").first()
    if job.task != GENERATION_TASK or checkpoint is None:
        raise NoSuchObject(
            f"{name} has no checkpoint of step {step} that is kept: the job's list of checkpoints"
            " names those that can answer.",
            param="model",
        )
    return checkpoint


def _who_deploys(
    job: FineTuningJob,
    scheduled: ScheduledDeployment | None,
    token_id: UUID | None,
    *,
    is_checkpoint: bool,
) -> User | ApiToken | None:
    """Whoever started the job through the API, else the token that asks, if it may.

    A checkpoint of a job that the API started may be asked by whoever may ask its model.
    """
    if is_checkpoint and scheduled is None:
        scheduled = ScheduledDeployment.objects.filter(job=job.job).first()
    if scheduled and has_permission(scheduled.requested_by, job.team, "write"):
        return scheduled.requested_by
    if token_id is None:
        return None
    token = ApiToken.objects.usable().select_related("created_by").filter(pk=token_id).first()
    return token if token and has_permission(token, job.team, "write") else None
