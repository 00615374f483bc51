"""One measured number as the report carries it: value, interval, method, library, direction."""

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, NotRequired

from typing_extensions import TypedDict

Better = Literal["up", "down"]
Interval = tuple[float | None, float | None]
NO_INTERVAL: Interval = (None, None)


class Measure(TypedDict):
    """`value` is None where the metric is not defined on these rows; `note` then says why."""

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
class Known:
    title: str
    share: bool = True
    better: Better = "up"


KNOWN = {
    "accuracy": Known("Accuracy"),
    "balanced_accuracy": Known("Balanced accuracy"),
    "macro_f1": Known("Macro F1"),
    "micro_f1": Known("Micro F1"),
    "weighted_f1": Known("Weighted F1"),
    "samples_f1": Known("F1 of a row, mean"),
    "macro_precision": Known("Macro precision"),
    "macro_recall": Known("Macro recall"),
    "micro_precision": Known("Micro precision"),
    "micro_recall": Known("Micro recall"),
    "weighted_precision": Known("Weighted precision"),
    "weighted_recall": Known("Weighted recall"),
    "subset_accuracy": Known("All labels right"),
    "hamming_loss": Known("Wrong label decisions", better="down"),
    "roc_auc": Known("ROC AUC"),
    "average_precision": Known("Average precision"),
    "top_3_accuracy": Known("Top-3 accuracy"),
    "top_5_accuracy": Known("Top-5 accuracy"),
    "mcc": Known("Matthews correlation", share=False),
    "log_loss": Known("Log loss", share=False, better="down"),
    "brier": Known("Brier score", share=False, better="down"),
    "ece": Known("Calibration error", better="down"),
    "mae": Known("Mean absolute error", share=False, better="down"),
    "rmse": Known("Root mean squared error", share=False, better="down"),
    "median_ae": Known("Median absolute error", share=False, better="down"),
    "r2": Known("R²", share=False),
    "spearman": Known("Spearman rank correlation", share=False),
    "bias": Known("Mean error (bias)", share=False, better="down"),
    "loss": Known("Loss of a token", share=False, better="down"),
    "perplexity": Known("Perplexity", share=False, better="down"),
    "rouge1": Known("ROUGE-1", share=False),
    "rouge2": Known("ROUGE-2", share=False),
    "rougeL": Known("ROUGE-L", share=False),
    "bleu": Known("BLEU", share=False),
    "chrf": Known("chrF", share=False),
    "exact_match": Known("Exact match"),
}


@dataclass(frozen=True)
class Point:
    """A value before its interval is known. `note` says why `value` is None."""

    value: float | None
    method: str
    library: str = "scikit-learn"
    note: str = ""


def measured(name: str, point: Point, interval: Interval, resampled: str) -> Measure:
    """`resampled` names how the interval was found; left out where there is none."""
    known = KNOWN[name]
    value = finite(point.value)
    low, high = (finite(end) for end in interval) if value is not None else NO_INTERVAL
    result: Measure = {
        "name": name,
        "title": known.title,
        "value": value,
        "low": low,
        "high": high,
        "share": known.share,
        "better": known.better,
        "method": f"{point.method}; {resampled}" if low is not None else point.method,
        "library": point.library,
        "version": version(point.library),
    }
    if point.note:
        result["note"] = point.note
    return result


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if value is not None and math.isfinite(value) else None
