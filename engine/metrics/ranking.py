"""ROC AUC and average precision under row weights, and their curves. Numpy only.

Scores are probabilities of one label against all others; ties share their rank.
"""

from dataclasses import dataclass

import numpy as np

from engine.metrics.resampling import ratio
from engine.metrics.shapes import Bools, Floats, Ints

CURVE_POINTS = 200


@dataclass(frozen=True)
class Ranked:
    """Rows of one label, highest score first; `starts` is where each distinct score begins."""

    order: Ints
    starts: Ints
    positive: Bools  # In that order.
    thresholds: Floats  # The distinct scores.

    @property
    def is_defined(self) -> bool:
        return bool(self.positive.any() and not self.positive.all())


def ranked(positive: Bools, scores: Floats) -> Ranked:
    order = np.argsort(-scores, kind="stable")
    in_order = scores[order]
    starts = np.flatnonzero(np.r_[True, in_order[1:] != in_order[:-1]])
    return Ranked(order, starts, positive[order], in_order[starts])


def _found(rows: Ranked, weights: Floats) -> tuple[Floats, Floats]:
    """True and false positives at each threshold, (samples, thresholds)."""
    drawn = weights[:, rows.order]
    true = np.add.reduceat(drawn * rows.positive, rows.starts, axis=1)
    false = np.add.reduceat(drawn * ~rows.positive, rows.starts, axis=1)
    return np.cumsum(true, axis=1), np.cumsum(false, axis=1)


def areas(rows: Ranked, weights: Floats) -> tuple[Floats, Floats]:
    """ROC AUC (trapezoids) and average precision (steps) of each sample."""
    true, false = _found(rows, weights)
    more_true = np.diff(true, axis=1, prepend=0)
    more_false = np.diff(false, axis=1, prepend=0)
    under = (more_false * (true - more_true / 2)).sum(axis=1)
    auc = ratio(under, true[:, -1] * false[:, -1])
    precision = ratio(true, true + false)
    return auc, ratio((more_true * precision).sum(axis=1), true[:, -1])


def macro_areas(positives: Bools, scores: Floats, weights: Floats) -> dict[str, Floats]:
    """The mean over labels that have rows on both sides; positives and scores (rows, labels)."""
    each = [areas(one, weights) for one in map(ranked, positives.T, scores.T) if one.is_defined]
    auc, precision = (np.mean([pair[side] for pair in each], axis=0) for side in (0, 1))
    return {"roc_auc": auc, "average_precision": precision}


def curves(positive: Bools, scores: Floats) -> dict[str, list[list[float]]]:
    """ROC points (false, true positive rate) and PR points (recall, precision), thinned evenly
    along the curve to at most CURVE_POINTS; the ends are kept."""
    rows = ranked(positive, scores)
    true, false = (found[0] for found in _found(rows, np.ones((1, len(scores)))))
    recall = true / true[-1]
    kept = _thinned(recall, false / false[-1])
    roc = [[0.0, 0.0], *_pairs(false / false[-1], recall, kept)]
    return {"roc": roc, "pr": _pairs(recall, true / (true + false), kept)}


def _thinned(recall: Floats, fall_out: Floats) -> Ints:
    """Positions at even steps of the way along the ROC curve."""
    way = recall + fall_out
    wanted = np.searchsorted(way, np.linspace(0, way[-1], CURVE_POINTS))
    return np.unique(np.r_[0, np.clip(wanted, 0, len(way) - 1), len(way) - 1])


def _pairs(across: Floats, up: Floats, kept: Ints) -> list[list[float]]:
    return [[round(float(across[k]), 4), round(float(up[k]), 4)] for k in kept]
