"""One metric's value as the report holds it, with interval, method, library and direction."""

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, NotRequired

from typing_extensions import TypedDict

Better = Literal["up", "down"]
Interval = tuple[float | None, float | None]
NO_INTERVAL: Interval = (None, None)


class Measure(TypedDict):
    """`value` is None if the metric is not defined on these rows; `note` then says why."""

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    share: bool  # Shown as a percentage.
    better: Better
    method: str
    library: str
    version: str
    note: NotRequired[str]


@dataclass(frozen=True)
class MetricInfo:
    title: str
    share: bool = True
    better: Better = "up"


METRICS = {
    "accuracy": MetricInfo("Accuracy"),
    "balanced_accuracy": MetricInfo("Balanced accuracy"),
    "macro_f1": MetricInfo("Macro F1"),
    "micro_f1": MetricInfo("Micro F1"),
    "weighted_f1": MetricInfo("Weighted F1"),
    "samples_f1": MetricInfo("F1 of a row, mean"),
    "macro_precision": MetricInfo("Macro precision"),
    "macro_recall": MetricInfo("Macro recall"),
    "micro_precision": MetricInfo("Micro precision"),
    "micro_recall": MetricInfo("Micro recall"),
    "weighted_precision": MetricInfo("Weighted precision"),
    "weighted_recall": MetricInfo("Weighted recall"),
    "subset_accuracy": MetricInfo("All labels right"),
    "hamming_loss": MetricInfo("Wrong label decisions", better="down"),
    "roc_auc": MetricInfo("ROC AUC"),
    "average_precision": MetricInfo("Average precision"),
    "top_3_accuracy": MetricInfo("Top-3 accuracy"),
    "top_5_accuracy": MetricInfo("Top-5 accuracy"),
    "mcc": MetricInfo("Matthews correlation", share=False),
    "log_loss": MetricInfo("Log loss", share=False, better="down"),
    "brier": MetricInfo("Brier score", share=False, better="down"),
    "ece": MetricInfo("Calibration error", better="down"),
    "mae": MetricInfo("Mean absolute error", share=False, better="down"),
    "rmse": MetricInfo("Root mean squared error", share=False, better="down"),
    "median_ae": MetricInfo("Median absolute error", share=False, better="down"),
    "r2": MetricInfo("R²", share=False),
    "spearman": MetricInfo("Spearman rank correlation", share=False),
    "bias": MetricInfo("Mean error (bias)", share=False, better="down"),
    "loss": MetricInfo("Loss of a token", share=False, better="down"),
    "perplexity": MetricInfo("Perplexity", share=False, better="down"),
    "rouge1": MetricInfo("ROUGE-1", share=False),
    "rouge2": MetricInfo("ROUGE-2", share=False),
    "rougeL": MetricInfo("ROUGE-L", share=False),
    "bleu": MetricInfo("BLEU", share=False),
    "chrf": MetricInfo("chrF", share=False),
    "exact_match": MetricInfo("Exact match"),
}


@dataclass(frozen=True)
class PointEstimate:
    """A value without its interval. `note` says why `value` is None."""

    value: float | None
    method: str
    library: str = "scikit-learn"
    note: str = ""


def make_measure(name: str, point: PointEstimate, interval: Interval, resampled: str) -> Measure:
    """`resampled` names the method of the interval; left out where there is none."""
    info = METRICS[name]
    value = finite_or_none(point.value)
    low, high = (finite_or_none(end) for end in interval) if value is not None else NO_INTERVAL
    result: Measure = {
        "name": name,
        "title": info.title,
        "value": value,
        "low": low,
        "high": high,
        "share": info.share,
        "better": info.better,
        "method": f"{point.method}; {resampled}" if low is not None else point.method,
        "library": point.library,
        "version": version(point.library),
    }
    if point.note:
        result["note"] = point.note
    return result


def finite_or_none(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if value is not None and math.isfinite(value) else None
