"""Trying another model under a deployment's name: on a share of requests, or beside them unseen.

A canary answers callers; a shadow is only compared. Both end by themselves when the name moves to
their model, and a move can be taken back.
"""

from django.db import transaction

from accounts.models import ApiToken, User
from inference import deployments
from inference.deployments import record_change, require_same_task
from inference.errors import AlreadyRetired, CannotServe, NothingToRollBackTo
from inference.models import Deployment
from training.models import TrainedModel

GENERATION_TASK = "text-generation"


def start_canary(
    deployment: Deployment, model: TrainedModel, percent: int, viewer: User | ApiToken
) -> None:
    """Let the model answer this percentage of requests, from 1 to 99. Raises CannotServe."""
    _require_another(deployment, model, "canary_model")
    if not 1 <= percent <= 99:
        raise CannotServe("The canary's share must be from 1 to 99 percent.", param="percent")
    _change(deployment, viewer, "deployment.canary", canary_model=model, canary_percent=percent)


def end_canary(deployment: Deployment, viewer: User | ApiToken) -> None:
    """All requests go to the deployed model again."""
    _change(deployment, viewer, "deployment.canary_ended", canary_model=None, canary_percent=None)


def start_shadow(deployment: Deployment, model: TrainedModel, viewer: User | ApiToken) -> None:
    """Ask the model the same as the deployed one and compare. Raises CannotServe."""
    _require_another(deployment, model, "shadow_model")
    if model.task == GENERATION_TASK:
        raise CannotServe(
            "A shadow is for models with one right answer. Try a language model as a canary.",
            param="shadow_model",
        )
    _change(deployment, viewer, "deployment.shadow", shadow_model=model)


def end_shadow(deployment: Deployment, viewer: User | ApiToken) -> None:
    _change(deployment, viewer, "deployment.shadow_ended", shadow_model=None)


def roll_back(deployment: Deployment, viewer: User | ApiToken) -> None:
    """Let the name answer with the model it had before, whatever the promotion rule says: it was
    good enough then. Raises NothingToRollBackTo, CannotServe or AlreadyRetired."""
    if deployment.previous_model is None:
        raise NothingToRollBackTo
    require_same_task(deployment, deployment.previous_model, "model")
    deployments.switch_model(deployment, deployment.previous_model, viewer)


def _require_another(deployment: Deployment, model: TrainedModel, param: str) -> None:
    require_same_task(deployment, model, param)
    if model.pk == deployment.model_id and deployment.checkpoint_id is None:
        raise CannotServe(f"{deployment.name} answers with this model already.", param=param)


@transaction.atomic
def _change(deployment: Deployment, viewer: User | ApiToken, action: str, **facts: object) -> None:
    if not Deployment.objects.serving().filter(pk=deployment.pk).update(**facts):
        raise AlreadyRetired
    deployment.refresh_from_db()
    record_change(deployment, viewer, action)
