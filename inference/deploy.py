"""The three deeds on a deployment: deploy a model under a name, move the name, retire it.

Each is one guarded change with its audit entry, and a notice at which the models processes look
anew; requests under way finish with the model they began with.
"""

from collections.abc import Collection
from uuid import UUID

from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.text import slugify
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Team, User
from accounts.notices import tell
from inference import promotion
from inference.errors import AlreadyRetired, CannotServe, KeptByRule, NameTaken
from inference.models import Deployment
from training.errors import TeamFrozen
from training.launch import TASKS
from training.models import TrainedModel
from web.live import notify

NAME_LENGTH = 80


@transaction.atomic
def deploy(model: TrainedModel, name: str, viewer: User | ApiToken) -> Deployment:
    """Serve the model under a new name. Raises NameTaken, CannotServe or TeamFrozen."""
    _check(model, model.team)
    moment = now()
    try:
        with transaction.atomic():
            deployment = Deployment.objects.create(
                team=model.team,
                project=model.project,
                model=model,
                name=name,
                created_by=viewer.created_by if isinstance(viewer, ApiToken) else viewer,
                created_at=moment,
                changed_at=moment,
            )
    except IntegrityError:  # The name was free when the form was shown, or never was.
        raise NameTaken(param="name") from None
    _record(deployment, viewer, "deployment.created")
    _tell_ready(deployment, viewer)
    return deployment


def move(deployment: Deployment, model: TrainedModel, viewer: User | ApiToken) -> None:
    """Let the name answer with another model of the team, of the same task. Raises CannotServe,
    AlreadyRetired, or KeptByRule, whose verdict is recorded all the same."""
    _check(model, deployment.team)
    if model.task != deployment.model.task:
        raise CannotServe(
            f"{deployment.name} is asked for {_words(deployment.model)}, and this model does"
            f" {_words(model)}: whoever calls it would get errors. Deploy it under another name.",
            param="model",
        )
    verdict = promotion.judge(deployment, model)
    if verdict is not None and not verdict.passed:
        raise KeptByRule(f"{deployment.name} keeps its model. {verdict.why}", param="model")
    _move(deployment, model, viewer)


@transaction.atomic
def _move(deployment: Deployment, model: TrainedModel, viewer: User | ApiToken) -> None:
    moved = Deployment.objects.serving().filter(pk=deployment.pk)
    if not moved.update(model=model, project=model.project, changed_at=now()):
        raise AlreadyRetired
    deployment.refresh_from_db()
    _record(deployment, viewer, "deployment.moved")
    _tell_ready(deployment, viewer)


@transaction.atomic
def retire(deployment: Deployment, viewer: User | ApiToken) -> None:
    """Stop serving; the name is free again. Raises AlreadyRetired."""
    if not Deployment.objects.serving().filter(pk=deployment.pk).update(retired_at=now()):
        raise AlreadyRetired
    deployment.refresh_from_db()
    _record(deployment, viewer, "deployment.retired")


def names_of(deployment_ids: Collection[UUID]) -> dict[UUID, str]:
    return dict(Deployment.objects.filter(pk__in=deployment_ids).values_list("pk", "name"))


def suggested_name(model: TrainedModel) -> str:
    """The model's name as a slug that no deployment of its team has yet."""
    stem = slugify(model.name)[: NAME_LENGTH - 10].strip("-") or "model"
    taken = set(
        Deployment.objects.serving()
        .filter(team_id=model.team_id, name__startswith=stem)
        .values_list("name", flat=True)
    )
    candidates = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in candidates if name not in taken)


def _check(model: TrainedModel, team: Team) -> None:
    if model.team_id != team.pk or model.archived_at is not None:
        raise CannotServe("This model is not one of the team's current models.", param="model")
    if model.task not in TASKS:
        raise CannotServe(param="model")
    if team.frozen_at is not None:
        raise TeamFrozen


def _words(model: TrainedModel) -> str:
    return model.task.replace("-", " ")


def _record(deployment: Deployment, viewer: User | ApiToken, action: str) -> None:
    audit.record(
        deployment.team,
        viewer,
        action,
        deployment.name,
        deployment=str(deployment.pk),
        model=str(deployment.model_id),
    )
    notify(f"deployments:{deployment.team_id}")


def _tell_ready(deployment: Deployment, viewer: User | ApiToken) -> None:
    tell(
        deployment.team,
        "deployment.ready",
        f"{deployment.name} answers with {deployment.model.name}.",
        url=reverse("inference:deployment", args=[deployment.pk]),
        data={
            "id": str(deployment.pk),
            "name": deployment.name,
            "model": str(deployment.model_id),
        },
        about=viewer.created_by if isinstance(viewer, ApiToken) else viewer,
    )
