"""The finished models that a new training may start from, beside the base models."""

from contextlib import suppress
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Team
from training.jobs.base_model_choice import CHAT_TASK
from training.models import TrainedModel

START_PREFIX = "model:"  # Before a finished model's id, where a base model's would stand.
MAX_STARTS = 50


def start_key(model: TrainedModel) -> str:
    return f"{START_PREFIX}{model.pk}"


def can_train_on(model: TrainedModel) -> bool:
    """Whether a new training may start from it: only from a language model that a job trained."""
    return trainable_on(TrainedModel.objects.filter(pk=model.pk)).exists()


def trainable_on(models: QuerySet[TrainedModel]) -> QuerySet[TrainedModel]:
    """Those of these models that a new training may start from. Smaller and exported forms are
    left out: their weights are no longer those that were trained."""
    return models.filter(task=CHAT_TASK, archived_at=None, purged_at=None, job__source_model=None)


def find_starts(team: Team, chosen: str) -> dict[str, TrainedModel]:
    """The team's newest models that a new training may start from, and the chosen one, by key."""
    rows = trainable_on(TrainedModel.objects.not_in_trash().filter(team=team))
    models = list(rows.order_by("-created_at")[:MAX_STARTS])
    if chosen.startswith(START_PREFIX) and chosen not in map(start_key, models):
        with suppress(ValueError):
            models += rows.filter(pk=UUID(chosen.removeprefix(START_PREFIX)))
    return {start_key(model): model for model in models}
