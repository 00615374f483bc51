"""Comparing two models of a team on the test rows both were asked about."""

import tempfile
from pathlib import Path
from typing import Any

from training.artifacts.storage import fetch_predictions
from training.models import TrainedModel
from web.errors import UserError


class CannotCompare(UserError):
    code, status = "cannot_compare", 409
    sentence = "These two models cannot be compared."


def compare_models(first: TrainedModel, second: TrainedModel) -> dict[str, Any]:
    """The comparison as JSON, with both models named. Raises CannotCompare saying why not."""
    from engine.analysis.model_comparison import ModelsNotComparable, compare_predictions
    from engine.errors import BrokenArtifact
    from engine.evaluation import read_predictions

    if first.pk == second.pk:
        raise CannotCompare("Choose two different models.", param="b")
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for model in (first, second):
            path = fetch_predictions(model, Path(folder))
            if path is None:
                raise CannotCompare(f"{model.name} has no stored predictions to compare.")
            paths.append(path)
        try:
            sides = [read_predictions(path) for path in paths]
            same_data = first.dataset_version_id == second.dataset_version_id
            comparison = compare_predictions(*sides, same_data=same_data)
        except (ModelsNotComparable, BrokenArtifact) as refusal:
            raise CannotCompare(refusal.sentence) from None
    return {
        "first": {"id": str(first.pk), "name": first.name, "task": first.task},
        "second": {"id": str(second.pk), "name": second.name, "task": second.task},
        **comparison,
    }


def comparable_models(model: TrainedModel) -> list[TrainedModel]:
    """Those it can be compared with: same project, task, dataset and labels, newest first."""
    same = TrainedModel.objects.not_in_trash().filter(
        project=model.project_id,
        task=model.task,
        dataset_version__dataset=model.dataset_version.dataset_id,
    )
    others = same.exclude(pk=model.pk).select_related("dataset_version__dataset")[:50]
    return [other for other in others if set(other.labels) == set(model.labels)]
