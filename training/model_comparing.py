"""Comparing two models of a team on the test rows both were asked about."""

import tempfile
from pathlib import Path
from typing import Any

from projects import storage
from training.models import TrainedModel
from training.predictions import FILE
from web.errors import UserError


class CannotCompare(UserError):
    code, status = "cannot_compare", 409
    sentence = "These two models cannot be compared."


def compare_models(first: TrainedModel, second: TrainedModel) -> dict[str, Any]:
    """The comparison as JSON, with both models named. Raises CannotCompare saying why not."""
    from engine.comparing import Incomparable, compare
    from engine.errors import BrokenArtifact
    from engine.evaluation import read_predictions

    if first.pk == second.pk:
        raise CannotCompare("Choose two different models.", param="b")
    with tempfile.TemporaryDirectory() as folder:
        paths = [_fetched(model, Path(folder)) for model in (first, second)]
        try:
            sides = [read_predictions(path) for path in paths]
            same_data = first.dataset_version_id == second.dataset_version_id
            found = compare(*sides, same_data=same_data)
        except (Incomparable, BrokenArtifact) as refusal:
            raise CannotCompare(refusal.sentence) from None
    return {"first": _named(first), "second": _named(second), **found}


def _fetched(model: TrainedModel, folder: Path) -> Path:
    key, path = f"{model.artifact_key}/{FILE}", folder / f"{model.pk}.parquet"
    if not storage.exists(key):
        raise CannotCompare(f"{model.name} has no stored predictions to compare.")
    storage.fetch_file(key, path)
    return path


def _named(model: TrainedModel) -> dict[str, str]:
    return {"id": str(model.pk), "name": model.name, "task": model.task}


def rivals_of(model: TrainedModel) -> list[TrainedModel]:
    """Models this one could be compared with: same project and task, newest first."""
    same = TrainedModel.objects.filter(project=model.project_id, task=model.task, archived_at=None)
    return list(same.exclude(pk=model.pk).select_related("dataset_version__dataset")[:50])
