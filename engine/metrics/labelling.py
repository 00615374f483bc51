"""Metrics of multi-label predictions."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from engine.metrics.calibration import ECE_METHOD, calibration_error
from engine.metrics.classification import (
    MAX_RANKING_WORK,
    MIN_PROBABILITY,
    MIN_RESAMPLES,
    RANKING_METRICS,
    ClassScores,
    class_scores,
    compute_ranking_points,
)
from engine.metrics.counting import LabelCounts
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
    micro_intervals,
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
    safe_divide,
)
from engine.metrics.shapes import Bools, Floats, MultilabelPredictions

NO_VARYING_LABEL_NOTE = "not defined: no label is both present and absent among the test rows"


def measure(predictions: MultilabelPredictions, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method and library."""
    points = _compute_points(predictions)
    rows, repeats = len(predictions.true), predictions.repeats
    ranges = bootstrap_intervals(
        bootstrap_weights(rows, seed, repeats=repeats), partial(_resampled_metrics, predictions)
    )
    ranges |= _ranking_intervals(predictions, seed)
    ranges = join_intervals(ranges, _count_intervals(predictions, points))
    ranking_method = (
        f"95% percentile bootstrap over rows, {_ranking_resamples(predictions)} resamples"
    )
    shares = [name for name in points if METRICS[name].share and name not in RESAMPLED_ONLY]
    bootstrap = describe_bootstrap(repeats)
    methods = {name: f"{bootstrap}, {PROPORTION_METHOD}" for name in shares}
    methods |= dict.fromkeys(RANKING_METRICS, ranking_method)
    return [
        make_measure(name, point, ranges.get(name, NO_INTERVAL), methods.get(name, bootstrap))
        for name, point in points.items()
    ]


def _count_intervals(
    predictions: MultilabelPredictions, points: Mapping[str, PointEstimate]
) -> dict[str, Interval]:
    true, predicted = predictions.true, predictions.predicted
    rows = effective_rows(len(true), predictions.repeats)
    hits, chosen, support = (
        each.mean(0, keepdims=True) * rows for each in (true & predicted, predicted, true)
    )
    counts = LabelCounts(hits, chosen, support, rows)
    values = {name: points[name].value for name in RANKING_METRICS}
    return {
        **{name: ends for name, ends in count_intervals(counts).items() if name in points},
        **micro_intervals(counts),
        "subset_accuracy": wilson_interval((points["subset_accuracy"].value or 0) * rows, rows),
        **ranking_intervals(true, values, predictions.repeats),
    }


def _compute_points(predictions: MultilabelPredictions) -> dict[str, PointEstimate]:
    from sklearn import metrics as sk

    true, predicted = predictions.true, predictions.predicted
    points = {}
    for kind in ("micro", "macro", "weighted"):
        for score in ("f1", "precision", "recall"):
            value = getattr(sk, f"{score}_score")(true, predicted, average=kind, zero_division=0)
            method = f"{score}_score(average='{kind}', zero_division=0)"
            points[f"{kind}_{score}"] = PointEstimate(value, method)
    f1 = sk.f1_score(true, predicted, average="samples", zero_division=0)
    points["samples_f1"] = PointEstimate(f1, "f1_score(average='samples', zero_division=0)")
    points["subset_accuracy"] = PointEstimate(sk.accuracy_score(true, predicted), "accuracy_score")
    points["hamming_loss"] = PointEstimate(sk.hamming_loss(true, predicted), "hamming_loss")
    points |= compute_ranking_points(true, predictions.probabilities, NO_VARYING_LABEL_NOTE)
    points |= {
        "log_loss": PointEstimate(
            _row_log_losses(predictions).mean(), "mean of log_loss over labels", "numpy"
        ),
        "brier": PointEstimate(
            _row_brier_scores(predictions).mean(), "mean of brier_score_loss over labels", "numpy"
        ),
        "ece": PointEstimate(
            calibration_error(*flatten_decisions(predictions)),
            f"{ECE_METHOD} of all decisions",
            "numpy",
        ),
    }
    first = ("micro_f1", "macro_f1", "subset_accuracy")
    return {name: points[name] for name in (*first, *(n for n in points if n not in first))}


def _row_log_losses(predictions: MultilabelPredictions) -> Floats:
    """(rows,): mean binary cross-entropy over the labels of a row."""
    chance = np.where(predictions.true, predictions.probabilities, 1 - predictions.probabilities)
    losses: Floats = -np.log(np.clip(chance, MIN_PROBABILITY, 1.0)).mean(axis=1)
    return losses


def _row_brier_scores(predictions: MultilabelPredictions) -> Floats:
    squares: Floats = ((predictions.probabilities - predictions.true) ** 2).mean(axis=1)
    return squares


def flatten_decisions(predictions: MultilabelPredictions) -> tuple[Bools, Floats]:
    """Every label of every row as one decision at 0.5: whether it is correct, its confidence."""
    decisions = predictions.probabilities >= 0.5
    confidence = np.where(decisions, predictions.probabilities, 1 - predictions.probabilities)
    return (decisions == predictions.true).ravel(), confidence.ravel()


def _resampled_metrics(predictions: MultilabelPredictions, weights: Floats) -> dict[str, Floats]:
    true, predicted = predictions.true.astype(np.float64), predictions.predicted.astype(np.float64)
    rows, both = len(true), true * predicted
    counts = LabelCounts(weights @ both, weights @ predicted, weights @ true, float(rows))
    hits = counts.true_positives.sum(axis=1)
    row_f1 = safe_divide(2 * both.sum(axis=1), (true + predicted).sum(axis=1))
    means = {
        "samples_f1": row_f1,
        "subset_accuracy": (predictions.true == predictions.predicted)
        .all(axis=1)
        .astype(np.float64),
        "hamming_loss": (predictions.true != predictions.predicted).mean(axis=1),
        "log_loss": _row_log_losses(predictions),
        "brier": _row_brier_scores(predictions),
    }
    return {
        "micro_f1": counts.micro_f1(),
        "micro_precision": safe_divide(hits, counts.predicted_positives.sum(axis=1)),
        "micro_recall": safe_divide(hits, counts.support.sum(axis=1)),
        # scikit-learn's macro over label sets counts every label, also those never seen.
        "macro_f1": counts.f1.mean(axis=1),
        "macro_precision": counts.precision.mean(axis=1),
        "macro_recall": counts.recall.mean(axis=1),
        "weighted_f1": counts.weighted(counts.f1),
        "weighted_precision": counts.weighted(counts.precision),
        "weighted_recall": counts.weighted(counts.recall),
        **{name: weights @ values / rows for name, values in means.items()},
    }


def _ranking_resamples(predictions: MultilabelPredictions) -> int:
    return int(np.clip(MAX_RANKING_WORK // predictions.true.size, MIN_RESAMPLES, RESAMPLES))


def _ranking_intervals(predictions: MultilabelPredictions, seed: int) -> dict[str, Interval]:
    is_defined = predictions.true.any(axis=0) & ~predictions.true.all(axis=0)
    if not is_defined.any():
        return {}
    weights = bootstrap_weights(
        len(predictions.true), seed, _ranking_resamples(predictions), predictions.repeats
    )
    return bootstrap_intervals(
        weights, partial(macro_areas_under_curves, predictions.true, predictions.probabilities)
    )


def per_class(predictions: MultilabelPredictions, names: list[str]) -> list[ClassScores]:
    from sklearn import metrics as sk

    return class_scores(
        names,
        sk.precision_recall_fscore_support(
            predictions.true, predictions.predicted, labels=np.arange(len(names)), zero_division=0
        ),
    )
