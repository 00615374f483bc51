"""Metrics of single-label predictions."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from engine.metrics.calibration import ECE_METHOD, calibration_error, calibration_errors
from engine.metrics.counting import compute_multiclass_metrics, count_labels
from engine.metrics.measures import (
    METRICS,
    NO_INTERVAL,
    Interval,
    Measure,
    PointEstimate,
    make_measure,
)
from engine.metrics.proportions import (
    PROPORTION_METHOD,
    RESAMPLED_ONLY,
    count_intervals,
    join_intervals,
    ranking_intervals,
    wilson_interval,
)
from engine.metrics.ranking import macro_areas_under_curves
from engine.metrics.resampling import (
    RESAMPLES,
    bootstrap_intervals,
    bootstrap_weights,
    describe_bootstrap,
    effective_rows,
    stratified_bootstrap_weights,
)
from engine.metrics.shapes import Bools, Floats, MulticlassPredictions

MIN_PROBABILITY = 1e-15
RANKING_METRICS = ("roc_auc", "average_precision")
TOP_KS = (3, 5)
# Resampling a ranking costs rows times labels; many labels get fewer resamples, and say so.
MAX_RANKING_WORK, MIN_RESAMPLES = 20_000_000, 100
ONE_CLASS_NOTE = "not defined: the test rows have only one of the labels"


class ClassScores(TypedDict):
    label: str
    precision: float
    recall: float
    f1: float
    support: int


def row_losses(predictions: MulticlassPredictions) -> Floats:
    chosen = predictions.probabilities[np.arange(len(predictions.true)), predictions.true]
    losses: Floats = -np.log(np.clip(chosen, MIN_PROBABILITY, 1.0))
    return losses


def measure(
    predictions: MulticlassPredictions, seed: int = 0, names: Collection[str] | None = None
) -> list[Measure]:
    """All metrics, or those named, each with its interval, method and library."""
    points = _compute_points(predictions, names)
    ranges = _compute_intervals(predictions, seed, points)
    ranking_method = (
        f"95% percentile bootstrap stratified by label, {_ranking_resamples(predictions)} resamples"
    )
    shares = [name for name in points if METRICS[name].share and name not in RESAMPLED_ONLY]
    bootstrap = describe_bootstrap(predictions.repeats)
    methods = {name: f"{bootstrap}, {PROPORTION_METHOD}" for name in shares}
    methods |= dict.fromkeys(RANKING_METRICS, ranking_method)
    return [
        make_measure(name, point, ranges.get(name, NO_INTERVAL), methods.get(name, bootstrap))
        for name, point in points.items()
    ]


def _compute_points(
    predictions: MulticlassPredictions, names: Collection[str] | None
) -> dict[str, PointEstimate]:
    """Only the named metrics are computed: slices and contenders need a few of many."""
    functions = {
        **_count_metric_functions(predictions),
        **_probability_metric_functions(predictions),
    }
    chosen = set(functions) | set(RANKING_METRICS) if names is None else set(names)
    points = {name: compute() for name, compute in functions.items() if name in chosen}
    if chosen & set(RANKING_METRICS):
        ranked = compute_ranking_points(*_one_vs_rest(predictions), ONE_CLASS_NOTE)
        points |= {name: point for name, point in ranked.items() if name in chosen}
    return points


def _count_metric_functions(
    predictions: MulticlassPredictions,
) -> dict[str, Callable[[], PointEstimate]]:
    from sklearn import metrics as sk

    true, predicted = predictions.true, predictions.predicted

    def averaged(score: str, kind: str) -> PointEstimate:
        value = getattr(sk, f"{score}_score")(true, predicted, average=kind, zero_division=0)
        return PointEstimate(value, f"{score}_score(average='{kind}', zero_division=0)")

    def balanced() -> PointEstimate:
        present = np.bincount(true, minlength=predictions.probabilities.shape[1]) > 0
        labels = np.flatnonzero(present)
        value = sk.recall_score(true, predicted, labels=labels, average="macro", zero_division=0)
        return PointEstimate(value, "balanced_accuracy_score")

    order = [("f1", "macro"), ("f1", "weighted")]
    order += [(score, kind) for kind in ("macro", "weighted") for score in ("precision", "recall")]
    return {
        "accuracy": lambda: PointEstimate(sk.accuracy_score(true, predicted), "accuracy_score"),
        **{f"{kind}_{score}": partial(averaged, score, kind) for score, kind in order},
        "balanced_accuracy": balanced,
        "mcc": lambda: PointEstimate(sk.matthews_corrcoef(true, predicted), "matthews_corrcoef"),
    }


def _probability_metric_functions(
    predictions: MulticlassPredictions,
) -> dict[str, Callable[[], PointEstimate]]:
    from sklearn import metrics as sk

    true, probabilities = predictions.true, predictions.probabilities
    labels = np.arange(probabilities.shape[1])

    def log_loss() -> PointEstimate:
        value = sk.log_loss(true, probabilities, labels=labels)
        return PointEstimate(value, "log_loss(labels=all)")

    def brier() -> PointEstimate:
        method = "Brier score summed over labels (Brier 1950), 0 to 2"
        if len(labels) == 2:
            method = "Brier score of the second label, equal to brier_score_loss"
        return PointEstimate(_row_brier_scores(predictions).mean(), method, "numpy")

    def top_k_accuracy(k: int) -> PointEstimate:
        value = sk.top_k_accuracy_score(true, probabilities, k=k, labels=labels)
        return PointEstimate(value, f"top_k_accuracy_score(k={k})")

    def ece() -> PointEstimate:
        value = calibration_error(true == predictions.predicted, predictions.confidence)
        return PointEstimate(value, ECE_METHOD, "numpy")

    return {
        "log_loss": log_loss,
        "brier": brier,
        **{f"top_{k}_accuracy": partial(top_k_accuracy, k) for k in TOP_KS if len(labels) > k + 1},
        "ece": ece,
    }


def _row_brier_scores(predictions: MulticlassPredictions) -> Floats:
    """Squared distance of each row; of the second label alone if there are only two."""
    gaps = predictions.probabilities - np.eye(predictions.probabilities.shape[1])[predictions.true]
    if gaps.shape[1] == 2:
        gaps = gaps[:, 1:]
    rows: Floats = (gaps**2).sum(axis=1)
    return rows


def _one_vs_rest(predictions: MulticlassPredictions) -> tuple[Bools, Floats]:
    """Each label against all others, (rows, labels); of two labels only the second."""
    positives = predictions.true[:, None] == np.arange(predictions.probabilities.shape[1])
    if positives.shape[1] == 2:
        return positives[:, 1:], predictions.probabilities[:, 1:]
    return positives, predictions.probabilities


def compute_ranking_points(
    positives: Bools, scores: Floats, why_not: str
) -> dict[str, PointEstimate]:
    """ROC AUC and average precision, averaged over the labels that some but not all rows have.
    `why_not` is the note if there are none."""
    from sklearn import metrics as sk

    defined = positives.any(axis=0) & ~positives.all(axis=0)
    labels, all_labels = int(defined.sum()), positives.shape[1]
    functions = {"roc_auc": sk.roc_auc_score, "average_precision": sk.average_precision_score}
    points = {}
    for name, function in functions.items():
        each = [function(positives[:, k], scores[:, k]) for k in np.flatnonzero(defined)]
        method = f"{function.__name__} of probabilities"
        if all_labels > 1:
            method += f", one label against the rest, mean over {labels} of {all_labels} labels"
        value = float(np.mean(each)) if each else None
        points[name] = PointEstimate(value, method, note="" if each else why_not)
    return points


def _compute_intervals(
    predictions: MulticlassPredictions, seed: int, points: Mapping[str, PointEstimate]
) -> dict[str, Interval]:
    rows, repeats = len(predictions.true), predictions.repeats
    ranges = bootstrap_intervals(
        bootstrap_weights(rows, seed, repeats=repeats), partial(_resampled_metrics, predictions)
    )
    positives, scores = _one_vs_rest(predictions)
    is_defined = (positives.any(axis=0) & ~positives.all(axis=0)).any()
    if is_defined and set(RANKING_METRICS) & set(points):
        weights = stratified_bootstrap_weights(
            predictions.true, seed, _ranking_resamples(predictions), repeats
        )
        ranges |= bootstrap_intervals(weights, partial(macro_areas_under_curves, positives, scores))
    return join_intervals(ranges, _count_intervals(predictions, points))


def _count_intervals(
    predictions: MulticlassPredictions, points: Mapping[str, PointEstimate]
) -> dict[str, Interval]:
    labels, repeats = predictions.probabilities.shape[1], predictions.repeats
    rows = effective_rows(len(predictions.true), repeats)
    once = np.full((1, len(predictions.true)), rows / len(predictions.true))
    counts = count_labels(predictions.true, predictions.predicted, labels, once)
    shares = [name for name in points if name == "accuracy" or name.startswith("top_")]
    values = {name: points[name].value for name in RANKING_METRICS if name in points}
    return {
        **count_intervals(counts),
        **{name: wilson_interval((points[name].value or 0) * rows, rows) for name in shares},
        **ranking_intervals(_one_vs_rest(predictions)[0], values, repeats),
    }


def _resampled_metrics(predictions: MulticlassPredictions, weights: Floats) -> dict[str, Floats]:
    rows, labels = predictions.probabilities.shape
    means = {"log_loss": row_losses(predictions), "brier": _row_brier_scores(predictions)}
    own = predictions.probabilities[np.arange(rows), predictions.true]
    rank = (predictions.probabilities > own[:, None]).sum(axis=1)  # Of the true label, from 0.
    for k in TOP_KS:
        if labels > k + 1:
            means[f"top_{k}_accuracy"] = (rank < k).astype(np.float64)
    correct = predictions.true == predictions.predicted
    return {
        **compute_multiclass_metrics(
            count_labels(predictions.true, predictions.predicted, labels, weights)
        ),
        **{name: weights @ values / rows for name, values in means.items()},
        "ece": calibration_errors(correct, predictions.confidence, weights),
    }


def _ranking_resamples(predictions: MulticlassPredictions) -> int:
    return int(
        np.clip(MAX_RANKING_WORK // predictions.probabilities.size, MIN_RESAMPLES, RESAMPLES)
    )


def per_class(predictions: MulticlassPredictions, names: list[str]) -> list[ClassScores]:
    from sklearn import metrics as sk

    columns: Any = sk.precision_recall_fscore_support(
        predictions.true, predictions.predicted, labels=np.arange(len(names)), zero_division=0
    )
    return class_scores(names, columns)


def class_scores(names: list[str], columns: Any) -> list[ClassScores]:
    """scikit-learn's four arrays (precision, recall, F1, support) as one row per label."""
    precision, recall, f1, support = columns
    return [
        {
            "label": name,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(names)
    ]
