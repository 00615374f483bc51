"""Rows to label in the order of the newest model that gives such labels, least sure first.

Its answers are an analysis: a worker computes them once for each version and column, free of
charge, under the limits that hold for all analyses of a team. Until then, and for labels that the
model does not know, whoever asks has to order the rows otherwise.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import timedelta

from django.utils.timezone import now

from accounts.models import User
from projects.models import DatasetVersion
from training.analysis.requests import VERSION_KEY, Question, request_analysis
from training.errors import TooManyAnalyses
from training.models import Analysis, TrainedModel
from web.rate_limits.counter import TooManyRequests

CERTAINTY = "certainty"
TASKS = ("text-classification", "tabular-classification")
INPUTS = ("text", "features")
MAX_COMPARED_MODELS = 20  # The newest of the project.
ASKED_AGAIN_AFTER = timedelta(hours=1)  # What failed may have been a worker's fault.


@dataclass(frozen=True)
class ModelOrder:
    """`ranked` are the model's answers by row, the least sure first; None while it is asked."""

    model: TrainedModel
    ranked: Mapping[int, str] | None


def order_by_newest_model(
    version: DatasetVersion, column: str, labels: Set[str], viewer: User
) -> ModelOrder | None:
    """The order by the newest model that fits; None where none does, or none can be asked."""
    model = find_fitting_model(version, column, labels)
    if model is None:
        return None
    question: Question = {VERSION_KEY: str(version.pk), "column": column}
    failed = Analysis.objects.filter(model=model, kind=CERTAINTY, question=question)
    if failed.exclude(failure="").filter(finished_at__gt=now() - ASKED_AGAIN_AFTER).exists():
        return None
    try:
        analysis = request_analysis(model, viewer, CERTAINTY, question)
    except (TooManyAnalyses, TooManyRequests):
        return None  # Labelling goes on without it.
    if analysis.result is None:
        return ModelOrder(model, None)
    return ModelOrder(model, {row: label for row, label, _ in analysis.result["rows"]})


def find_fitting_model(
    version: DatasetVersion, column: str, labels: Set[str]
) -> TrainedModel | None:
    """The newest model of the project that gives these labels to rows of these columns."""
    models = TrainedModel.objects.not_in_trash().filter(
        team=version.dataset.project.team_id,
        project=version.dataset.project_id,
        task__in=TASKS,
        purged_at=None,
    )
    newest = models.order_by("-created_at")[:MAX_COMPARED_MODELS]
    return next((model for model in newest if _fits(model, version, column, labels)), None)


def _fits(model: TrainedModel, version: DatasetVersion, column: str, labels: Set[str]) -> bool:
    """Whether it reads columns of this table and knows all labels given so far. Before there are
    any, the name of the column has to be that of the model's target."""
    inputs = model.manifest.get("inputs") or {}
    target = model.manifest.get("target") or {}
    if target.get("kind") != "label" or inputs.get("kind") not in INPUTS:
        return False
    read = set(inputs.get("columns") or [])
    present = {one["name"] for one in version.columns if one["type"] != "image"}
    if not read or not read <= present - {column}:
        return False
    return labels <= set(model.labels) if labels else target.get("column") == column
