"""Deploys a model under a name, moves the name to another model, retires it.

Each is one guarded change with its audit entry and a NOTIFY at which the models processes
invalidate their caches; requests under way finish with the model they began with.
"""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Model, Q
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.text import slugify
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Team, User
from accounts.notifications.publish import publish
from accounts.permissions import person_behind, require_permission
from inference import promotion
from inference.errors import (
    AlreadyRetired,
    BlockedByPromotionRule,
    CannotServe,
    DeploymentNameTaken,
)
from inference.models import Deployment
from projects.models import Project
from training.errors import TeamSuspended
from training.jobs.launch import TASKS
from training.models import Checkpoint, TrainedModel
from web.browser.parts import uses_of
from web.browser.trash import require_present, require_restorable, require_unused
from web.sse import notify

MAX_NAME_LENGTH = 80
MAX_NAMED = 5
MODEL_FIELDS = ["model", "canary_model", "shadow_model"]


@transaction.atomic
def deploy(
    model: TrainedModel, name: str, viewer: User | ApiToken, checkpoint: Checkpoint | None = None
) -> Deployment:
    """Serve the model, or this saved state of its training, under a new name.

    Raises DeploymentNameTaken, CannotServe or TeamSuspended.
    """
    _check_servable(model, model.team)
    moment = now()
    try:
        with transaction.atomic():
            deployment = Deployment.objects.create(
                team=model.team,
                project=model.project,
                model=model,
                checkpoint=checkpoint,
                name=name,
                created_by=person_behind(viewer),
                created_at=moment,
                changed_at=moment,
            )
    except IntegrityError:  # The name was free when the form was shown, or never was.
        raise DeploymentNameTaken(param="name") from None
    record_change(deployment, viewer, "deployment.created")
    _publish_ready(deployment, viewer)
    return deployment


def move(deployment: Deployment, model: TrainedModel, viewer: User | ApiToken) -> None:
    """Let the name answer with another model of the team, of the same task.

    Call it outside of transactions: a promotion rule downloads files and computes for seconds.
    Raises CannotServe, AlreadyRetired, or BlockedByPromotionRule, whose verdict is recorded.
    """
    require_same_task(deployment, model, "model")
    verdict = promotion.evaluate_rule(deployment, model)
    if verdict is not None and not verdict.passed:
        raise BlockedByPromotionRule(
            f"{deployment.name} keeps its model. {verdict.failure_summary}", param="model"
        )
    switch_model(deployment, model, viewer)


def require_same_task(deployment: Deployment, model: TrainedModel, param: str) -> None:
    """Raises CannotServe for a model that could not answer under this name."""
    _check_servable(model, deployment.team)
    if model.task != deployment.model.task:
        raise CannotServe(
            f"{deployment.name} is asked for {_task_label(deployment.model)}, and this model"
            f" does {_task_label(model)}: whoever calls it would get errors. Deploy it under"
            " another name.",
            param=param,
        )


@transaction.atomic
def switch_model(deployment: Deployment, model: TrainedModel, viewer: User | ApiToken) -> None:
    """Move the name without asking the promotion rule. Raises AlreadyRetired."""
    serving = Deployment.objects.serving().filter(pk=deployment.pk)
    facts: dict[str, object] = {"model": model, "project": model.project, "checkpoint": None}
    if model.pk != deployment.model_id:
        facts["previous_model"] = deployment.model
    if model.pk == deployment.canary_model_id:
        facts |= {"canary_model": None, "canary_percent": None}
    if model.pk == deployment.shadow_model_id:
        facts["shadow_model"] = None
    if not serving.update(**facts, changed_at=now()):
        raise AlreadyRetired
    deployment.refresh_from_db()
    record_change(deployment, viewer, "deployment.moved")
    _publish_ready(deployment, viewer)


@transaction.atomic
def retire(deployment: Deployment, viewer: User | ApiToken) -> None:
    """Stop serving; the name is free again. Raises StillInUse or AlreadyRetired."""
    require_unused(deployment.name, uses_of("endpoint", deployment))
    if not Deployment.objects.serving().filter(pk=deployment.pk).update(retired_at=now()):
        raise AlreadyRetired
    deployment.refresh_from_db()
    record_change(deployment, viewer, "deployment.retired")


@transaction.atomic
def restore(deployment: Deployment, viewer: User | ApiToken) -> None:
    """Serve again what was retired within 30 days, under the same name and address.

    Raises TooLateToRestore, DeploymentNameTaken, CannotServe or TeamSuspended.
    """
    require_restorable(deployment.retired_at)
    _check_servable(deployment.model, deployment.team)
    retired = Deployment.objects.filter(pk=deployment.pk, retired_at__isnull=False)
    try:
        with transaction.atomic():
            changed = retired.update(retired_at=None, changed_at=now())
    except IntegrityError:
        raise DeploymentNameTaken(
            f"Another endpoint is called {deployment.name} now. Take that down first.", param="name"
        ) from None
    if changed:
        deployment.refresh_from_db()
        record_change(deployment, viewer, "deployment.restored")


def endpoints_that_use(subject: Model) -> list[str]:
    """Live endpoints of a project, or that answer with a model or checkpoint: a sentence each."""
    fields = {Project: ["project"], Checkpoint: ["checkpoint"]}.get(type(subject), MODEL_FIELDS)
    uses = Q()
    for name in fields:
        uses |= Q(**{name: subject.pk})
    live = Deployment.objects.serving().filter(uses).order_by("name")
    return [
        f"The endpoint “{one.name}” is live: take it down or move it." for one in live[:MAX_NAMED]
    ]


def find_deployment(viewer: object, deployment_id: UUID) -> Deployment:
    """The deployment with its team, project and model. Raises Http404 for strangers, too."""
    visible = Deployment.objects.visible_to(viewer).select_related("team", "project", "model")
    return get_object_or_404(visible, pk=deployment_id)


def find_deployment_to_change(viewer: User | ApiToken, deployment_id: UUID) -> Deployment:
    """As find_deployment. Raises NotAllowed for who may only look."""
    deployment = find_deployment(viewer, deployment_id)
    require_permission(viewer, deployment.team, "write")
    return deployment


def suggest_name(model: TrainedModel) -> str:
    """The model's name as a slug that no deployment of its team has yet."""
    stem = slugify(model.name)[: MAX_NAME_LENGTH - 10].strip("-") or "model"
    taken = set(
        Deployment.objects.serving()
        .filter(team_id=model.team_id, name__startswith=stem)
        .values_list("name", flat=True)
    )
    candidates = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in candidates if name not in taken)


def _check_servable(model: TrainedModel, team: Team) -> None:
    if model.team_id != team.pk:
        raise CannotServe("This model is not one of the team's models.", param="model")
    require_present(model.project, model)
    if model.task not in TASKS:
        raise CannotServe(param="model")
    if team.frozen_at is not None:
        raise TeamSuspended


def _task_label(model: TrainedModel) -> str:
    return model.task.replace("-", " ")


def record_change(deployment: Deployment, viewer: User | ApiToken, action: str) -> None:
    """Audit it, and let the models processes read the deployment anew."""
    audit.record(
        deployment.team,
        viewer,
        action,
        deployment.name,
        deployment=str(deployment.pk),
        model=str(deployment.model_id),
        answers_with=deployment.model.name,
    )
    notify(f"deployments:{deployment.team_id}")


def _publish_ready(deployment: Deployment, viewer: User | ApiToken) -> None:
    publish(
        deployment.team,
        "deployment.ready",
        f"{deployment.name} answers with {deployment.model.name}.",
        url=reverse("inference:deployment", args=[deployment.pk]),
        data={
            "id": str(deployment.pk),
            "name": deployment.name,
            "model": str(deployment.model_id),
        },
        about=person_behind(viewer),
    )
