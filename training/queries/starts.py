"""The finished models that training may go on from, beside the base models."""

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
    """Whether training may go on from it: of language models that a fine-tune made."""
    return trainable_on(TrainedModel.objects.filter(pk=model.pk)).exists()


def trainable_on(models: QuerySet[TrainedModel]) -> QuerySet[TrainedModel]:
    """Smaller and exported models are not: their weights are no longer what was trained."""
    return models.filter(task=CHAT_TASK, archived_at=None, purged_at=None, job__source_model=None)


def find_starts(team: Team, chosen: str) -> dict[str, TrainedModel]:
    """The team's newest models that training may go on from, and the chosen one, by their keys."""
    rows = trainable_on(TrainedModel.objects.not_in_trash().filter(team=team))
    found = list(rows.order_by("-created_at")[:MAX_STARTS])
    if chosen.startswith(START_PREFIX) and chosen not in map(start_key, found):
        with suppress(ValueError):
            found += rows.filter(pk=UUID(chosen.removeprefix(START_PREFIX)))
    return {start_key(model): model for model in found}
