"""Metrics computed from true positives, predicted positives and support. Numpy only."""

import numpy as np
import numpy.typing as npt

from engine.metrics.resampling import safe_divide
from engine.metrics.shapes import Floats, Ints


class LabelCounts:
    """Counts of every label in each of several (re)samples: all arrays are (samples, labels)."""

    def __init__(
        self, true_positives: Floats, predicted_positives: Floats, support: Floats, rows: float
    ) -> None:
        self.true_positives, self.predicted_positives = true_positives, predicted_positives
        self.support, self.rows = support, rows
        self.precision = safe_divide(true_positives, predicted_positives)
        self.recall = safe_divide(true_positives, support)
        self.f1 = safe_divide(2 * true_positives, predicted_positives + support)

    def macro(self, scores: Floats) -> Floats:
        """The mean over labels that are true or predicted in some row."""
        occurs = (self.support + self.predicted_positives) > 0
        return safe_divide((scores * occurs).sum(axis=1), occurs.sum(axis=1))

    def weighted(self, scores: Floats) -> Floats:
        return safe_divide((scores * self.support).sum(axis=1), self.support.sum(axis=1))

    def micro_f1(self) -> Floats:
        return safe_divide(
            2 * self.true_positives.sum(axis=1),
            (self.predicted_positives + self.support).sum(axis=1),
        )


def count_labels(true: Ints, predicted: Ints, labels: int, weights: Floats) -> LabelCounts:
    """Single-label counts under row weights (samples, rows)."""
    return LabelCounts(
        sum_by_group(np.where(true == predicted, true, labels), labels, weights),
        sum_by_group(predicted, labels, weights),
        sum_by_group(true, labels, weights),
        float(len(true)),
    )


def sum_by_group(group: Ints, groups: int, weights: Floats) -> Floats:
    """The weight in each group, (samples, groups); group numbers beyond are left out."""
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    sums = np.zeros((len(weights), max(groups, int(present[-1]) + 1 if len(present) else 0)))
    if len(present):
        sums[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums[:, :groups]


def compute_multiclass_metrics(counts: LabelCounts) -> dict[str, Floats]:
    """Every count metric of single-label predictions, for each sample."""
    correct = counts.true_positives.sum(axis=1)
    present = counts.support > 0
    return {
        "accuracy": correct / counts.rows,
        "balanced_accuracy": safe_divide(
            (counts.recall * present).sum(axis=1), present.sum(axis=1)
        ),
        "macro_f1": counts.macro(counts.f1),
        "weighted_f1": counts.weighted(counts.f1),
        "macro_precision": counts.macro(counts.precision),
        "macro_recall": counts.macro(counts.recall),
        "weighted_precision": counts.weighted(counts.precision),
        "weighted_recall": counts.weighted(counts.recall),
        "mcc": _matthews_correlation(counts),
    }


def _matthews_correlation(counts: LabelCounts) -> Floats:
    """Gorodkin's correlation for several labels, as scikit-learn computes it."""
    rows = counts.rows
    covariance = counts.true_positives.sum(axis=1) * rows - (
        counts.predicted_positives * counts.support
    ).sum(axis=1)
    predicted = rows**2 - (counts.predicted_positives**2).sum(axis=1)
    true = rows**2 - (counts.support**2).sum(axis=1)
    return safe_divide(covariance, np.sqrt((predicted * true).clip(0)))  # Rounding errors.


def multiclass_scores(true: Ints, predicted: Ints, labels: int) -> dict[str, float]:
    """Count metrics of one sample, each row once."""
    once = np.ones((1, len(true)))
    metrics = compute_multiclass_metrics(count_labels(true, predicted, labels, once))
    return {name: float(values[0]) for name, values in metrics.items()}


def accuracy(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    return float((true == predicted).mean())
