"""Metrics that follow from how often each label was true, answered, and both. Numpy only."""

import numpy as np
import numpy.typing as npt

from engine.metrics.resampling import ratio
from engine.metrics.shapes import Floats, Ints


class Tally:
    """Counts of every label in each of several (re)samples: all arrays are (samples, labels)."""

    def __init__(self, hits: Floats, claimed: Floats, support: Floats, rows: float) -> None:
        self.hits, self.claimed, self.support, self.rows = hits, claimed, support, rows
        self.precision, self.recall = ratio(hits, claimed), ratio(hits, support)
        self.f1 = ratio(2 * hits, claimed + support)

    def macro(self, scores: Floats) -> Floats:
        """The mean over labels that occur among true or answered ones."""
        seen = (self.support + self.claimed) > 0
        return ratio((scores * seen).sum(axis=1), seen.sum(axis=1))

    def weighted(self, scores: Floats) -> Floats:
        return ratio((scores * self.support).sum(axis=1), self.support.sum(axis=1))

    def micro_f1(self) -> Floats:
        return ratio(2 * self.hits.sum(axis=1), (self.claimed + self.support).sum(axis=1))


def tally(true: Ints, predicted: Ints, labels: int, weights: Floats) -> Tally:
    """Single-label counts under row weights (samples, rows)."""
    return Tally(
        sums_by(np.where(true == predicted, true, labels), labels, weights),
        sums_by(predicted, labels, weights),
        sums_by(true, labels, weights),
        float(len(true)),
    )


def sums_by(group: Ints, groups: int, weights: Floats) -> Floats:
    """The weight that falls into each group, (samples, groups); groups beyond are left out."""
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    sums = np.zeros((len(weights), max(groups, int(present[-1]) + 1 if len(present) else 0)))
    if len(present):
        sums[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums[:, :groups]


def single_label(counts: Tally) -> dict[str, Floats]:
    """Every count metric of single-label answers, for each sample."""
    right = counts.hits.sum(axis=1)
    present = counts.support > 0
    return {
        "accuracy": right / counts.rows,
        "balanced_accuracy": ratio((counts.recall * present).sum(axis=1), present.sum(axis=1)),
        "macro_f1": counts.macro(counts.f1),
        "weighted_f1": counts.weighted(counts.f1),
        "macro_precision": counts.macro(counts.precision),
        "macro_recall": counts.macro(counts.recall),
        "weighted_precision": counts.weighted(counts.precision),
        "weighted_recall": counts.weighted(counts.recall),
        "mcc": _matthews(counts),
    }


def _matthews(counts: Tally) -> Floats:
    """Gorodkin's correlation for several labels, as scikit-learn computes it."""
    rows = counts.rows
    together = counts.hits.sum(axis=1) * rows - (counts.claimed * counts.support).sum(axis=1)
    claimed = rows**2 - (counts.claimed**2).sum(axis=1)
    support = rows**2 - (counts.support**2).sum(axis=1)
    return ratio(together, np.sqrt(claimed * support))


def averages(true: Ints, predicted: Ints, labels: int) -> dict[str, float]:
    """Count metrics of one sample, each row once."""
    once = np.ones((1, len(true)))
    metrics = single_label(tally(true, predicted, labels, once))
    return {name: float(values[0]) for name, values in metrics.items()}


def accuracy(true: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    return float((true == predicted).mean())
