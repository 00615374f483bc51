"""ROC AUC and average precision under row weights, and their curves. Numpy only.

Scores are probabilities of one label against all others; ties share their rank.
"""

from dataclasses import dataclass

import numpy as np

from engine.metrics.resampling import safe_divide
from engine.metrics.shapes import Bools, Floats, Ints

CURVE_POINTS = 200


@dataclass(frozen=True)
class RankedScores:
    """Rows of one label, highest score first; `starts` is where each distinct score begins."""

    order: Ints
    starts: Ints
    positive: Bools  # In that order.
    thresholds: Floats  # The distinct scores.

    @property
    def is_defined(self) -> bool:
        return bool(self.positive.any() and not self.positive.all())


def rank_scores(positive: Bools, scores: Floats) -> RankedScores:
    order = np.argsort(-scores, kind="stable")
    in_order = scores[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    return RankedScores(order, starts, positive[order], in_order[starts])


def _cumulative_positives(rows: RankedScores, weights: Floats) -> tuple[Floats, Floats]:
    """True and false positives at each threshold, (samples, thresholds)."""
    drawn = weights[:, rows.order]
    true = np.add.reduceat(drawn * rows.positive, rows.starts, axis=1)
    false = np.add.reduceat(drawn * ~rows.positive, rows.starts, axis=1)
    return np.cumsum(true, axis=1), np.cumsum(false, axis=1)


def areas_under_curves(rows: RankedScores, weights: Floats) -> tuple[Floats, Floats]:
    """ROC AUC (trapezoids) and average precision (steps) of each sample."""
    true, false = _cumulative_positives(rows, weights)
    more_true = np.diff(true, axis=1, prepend=0)
    more_false = np.diff(false, axis=1, prepend=0)
    under = (more_false * (true - more_true / 2)).sum(axis=1)
    auc = safe_divide(under, true[:, -1] * false[:, -1])
    precision = safe_divide(true, true + false)
    return auc, safe_divide((more_true * precision).sum(axis=1), true[:, -1])


def macro_areas_under_curves(
    positives: Bools, scores: Floats, weights: Floats
) -> dict[str, Floats]:
    """The mean over labels that have rows on both sides; positives and scores (rows, labels)."""
    each = [
        areas_under_curves(ranked, weights)
        for ranked in map(rank_scores, positives.T, scores.T)
        if ranked.is_defined
    ]
    auc, precision = (np.mean([pair[side] for pair in each], axis=0) for side in (0, 1))
    return {"roc_auc": auc, "average_precision": precision}


def compute_curve_points(positive: Bools, scores: Floats) -> dict[str, list[list[float]]]:
    """ROC points (false, true positive rate) and PR points (recall, precision), thinned evenly
    along the curve to at most CURVE_POINTS; the ends are kept."""
    rows = rank_scores(positive, scores)
    true, false = (counts[0] for counts in _cumulative_positives(rows, np.ones((1, len(scores)))))
    recall = true / true[-1]
    fall_out = false / false[-1]
    length = recall + fall_out  # Of the ROC curve so far.
    even = np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS))
    places = np.unique(np.r_[0, np.clip(even, 0, len(length) - 1), len(length) - 1])
    roc = [[0.0, 0.0], *_format_curve_points(fall_out, recall, places)]
    return {"roc": roc, "pr": _format_curve_points(recall, true / (true + false), places)}


def _format_curve_points(across: Floats, up: Floats, places: Ints) -> list[list[float]]:
    return [[round(float(across[k]), 4), round(float(up[k]), 4)] for k in places]
