"""The charts of a job's page: their curves, and the baselines that these are compared with."""

from collections.abc import Mapping
from typing import TypedDict

from training.models import Evaluation, TrainingJob
from training.queries.metric_series import Series, curves_of, latest_values
from training.queries.models import VALIDATION_METRICS

LOSSES = ("train_loss", "validation_loss")
PROBE = "probe"  # The method that solves one layer at once, without steps.
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
    lines: list[ReferenceLine]  # Values of baselines, drawn as dashed horizontal lines.


def chart_of(job: TrainingJob, name: str) -> Chart:
    """The chart with this name, one of CHARTS; curves without points are left out."""
    if name == "metric":
        metric = validation_metric_of(job, latest_values(job))
        return Chart(series=_series(job, [f"validation_{metric}"]), lines=_baselines(job, metric))
    curve_names = {"loss": LOSSES, "rate": RATE, "load": SYSTEM_PERCENT, "memory": SYSTEM_MEMORY}
    return Chart(series=_series(job, curve_names[name]), lines=[])


def validation_metric_of(job: TrainingJob, values: Mapping[str, float]) -> str:
    """The metric of the chart "metric": the first of VALIDATION_METRICS that was measured; before
    anything was, the usual one of the job's task."""
    measured = (name for name in VALIDATION_METRICS if f"validation_{name}" in values)
    if name := next(measured, ""):
        return name
    kind = job.task.split("-")[-1]
    if kind == "classification":
        return "accuracy"
    return "loss" if kind == "generation" else "rmse"


def has_curves(job: TrainingJob) -> bool:
    """Whether there are curves to draw, or may be later: the method PROBE takes no steps."""
    if not job.is_finished:
        hyperparameters = job.recipe.get("hyperparameters") or {}
        return bool(hyperparameters.get("method") != PROBE)
    return job.metrics.filter(name__in=LOSSES).exists()


def _series(job: TrainingJob, names: "list[str] | tuple[str, ...]") -> list[Series]:
    curves = curves_of(job, names)
    return [
        Series(name=name, points=curves[name].points, measured=curves[name].measured)
        for name in names
        if name in curves
    ]


def _baselines(job: TrainingJob, metric: str) -> list[ReferenceLine]:
    """Values of the report's baselines, once there is one, without the two that read no input."""
    if job.model_id is None or metric not in VALIDATION_METRICS:
        return []
    reports = Evaluation.objects.filter(model=job.model_id).order_by("-pk")
    report = reports.values_list("report", flat=True).first() or {}
    lines = []
    for baseline in report.get("baselines") or []:
        measured = {measure["name"]: measure.get("value") for measure in baseline["metrics"]}
        value = measured.get(metric)
        if value is not None and baseline["id"] not in ("majority", "mean"):
            lines.append(ReferenceLine(name=baseline["name"], value=value))
    return lines
