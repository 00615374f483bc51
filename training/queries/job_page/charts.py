"""The charts of a job's page: which curves belong together, and the lines to compare them with."""

from collections.abc import Mapping
from typing import TypedDict

from training.models import Evaluation, TrainingJob
from training.queries.metric_series import Series, curves_of, latest_values
from training.queries.models import VALIDATION_METRICS

LOSSES = ("train_loss", "validation_loss")
PROBE = "probe"  # The method that fits in one go.
RATE = ("learning_rate",)
# Of the worker, over seconds since the job started.
SYSTEM_PERCENT = ("system_cpu_percent", "system_gpu_percent")
SYSTEM_MEMORY = ("system_memory_gib", "system_gpu_memory_gib")
SYSTEM = (*SYSTEM_PERCENT, *SYSTEM_MEMORY)
CHARTS = ("loss", "metric", "rate", "load", "memory")


class ReferenceLine(TypedDict):
    name: str
    value: float


class Chart(TypedDict):
    series: list[Series]
    lines: list[ReferenceLine]  # Dashed and level: a baseline's value.


def chart_of(job: TrainingJob, name: str) -> Chart:
    """One of CHARTS; a curve without points is left out."""
    if name == "metric":
        metric = validation_metric_of(job, latest_values(job))
        return Chart(series=_series(job, [f"validation_{metric}"]), lines=_baselines(job, metric))
    wanted = {"loss": LOSSES, "rate": RATE, "load": SYSTEM_PERCENT, "memory": SYSTEM_MEMORY}
    return Chart(series=_series(job, wanted[name]), lines=[])


def validation_metric_of(job: TrainingJob, values: Mapping[str, float]) -> str:
    """What the second chart shows: the first of those measured; before that, its task's."""
    measured = (name for name in VALIDATION_METRICS if f"validation_{name}" in values)
    if name := next(measured, ""):
        return name
    kind = job.task.split("-")[-1]
    if kind == "classification":
        return "accuracy"
    return "loss" if kind == "generation" else "rmse"


def has_curves(job: TrainingJob) -> bool:
    """Whether there is, or may yet be, something to draw: the quick probe takes no steps."""
    if not job.is_finished:
        hyperparameters = job.recipe.get("hyperparameters") or {}
        return bool(hyperparameters.get("method") != PROBE)
    return job.metrics.filter(name__in=LOSSES).exists()


def _series(job: TrainingJob, names: "list[str] | tuple[str, ...]") -> list[Series]:
    found = curves_of(job, names)
    return [
        Series(name=name, points=found[name].points, measured=found[name].measured)
        for name in names
        if name in found
    ]


def _baselines(job: TrainingJob, metric: str) -> list[ReferenceLine]:
    """The baselines of the report, once there is one, but for those that look at no input."""
    if job.model_id is None or metric not in VALIDATION_METRICS:
        return []
    reports = Evaluation.objects.filter(model=job.model_id).order_by("-pk")
    report = reports.values_list("report", flat=True).first() or {}
    lines = []
    for baseline in report.get("baselines") or []:
        measured = {one["name"]: one.get("value") for one in baseline["metrics"]}
        value = measured.get(metric)
        if value is not None and baseline["id"] not in ("majority", "mean"):
            lines.append(ReferenceLine(name=baseline["name"], value=value))
    return lines
