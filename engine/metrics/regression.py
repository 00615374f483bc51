"""Metrics of predicted numbers."""

from functools import partial

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Measure, Point, measured
from engine.metrics.resampling import HOW, intervals, ratio, row_weights
from engine.metrics.shapes import Floats, Numbers

FEW = "not defined: fewer than two test rows"
CONSTANT = "not defined: the target or the predictions never vary on the test rows"


def measure(given: Numbers, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method and library."""
    formulas = partial(_resampled, given)
    ranges = intervals(row_weights(len(given.true), seed), formulas)
    return [
        measured(name, point, ranges.get(name, NO_INTERVAL), HOW)
        for name, point in _points(given).items()
    ]


def _points(given: Numbers) -> dict[str, Point]:
    from scipy import stats
    from sklearn import metrics as sk

    true, said = given.true, given.predicted
    two = len(true) > 1
    varies = two and np.ptp(true) > 0 and np.ptp(said) > 0
    r2 = sk.r2_score(true, said) if two and np.ptp(true) > 0 else None
    rank = float(stats.spearmanr(true, said).statistic) if varies else None
    return {
        "mae": Point(sk.mean_absolute_error(true, said), "mean_absolute_error"),
        "rmse": Point(sk.root_mean_squared_error(true, said), "root_mean_squared_error"),
        "r2": Point(r2, "r2_score", note="" if r2 is not None else CONSTANT if two else FEW),
        "median_ae": Point(sk.median_absolute_error(true, said), "median_absolute_error"),
        "spearman": Point(
            rank, "spearmanr", "scipy", note="" if varies else CONSTANT if two else FEW
        ),
        "bias": Point(given.errors.mean(), "mean of predicted minus true", "numpy"),
    }


def _resampled(given: Numbers, weights: Floats) -> dict[str, Floats]:
    rows = len(given.true)
    sizes = np.abs(given.errors)
    squares = weights @ sizes**2
    centred = given.true - given.true.mean()
    spread = weights @ centred**2 - (weights @ centred) ** 2 / rows
    return {
        "mae": weights @ sizes / rows,
        "rmse": np.sqrt(squares / rows),
        "r2": np.where(spread > 0, 1 - ratio(squares, spread), np.nan),
        "median_ae": _medians(sizes, weights),
        "spearman": _correlations(
            _ranks(given.true, weights), _ranks(given.predicted, weights), weights
        ),
        "bias": weights @ given.errors / rows,
    }


def _medians(values: Floats, weights: Floats) -> Floats:
    """Median of each resample: the mean of its two middle values."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    rows = weights.shape[1]
    middle = [
        values[order][(reached > place).argmax(axis=1)] for place in ((rows - 1) // 2, rows // 2)
    ]
    median: Floats = (middle[0] + middle[1]) / 2
    return median


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Each row's mid-rank among the drawn rows of its resample, (samples, rows)."""
    order = np.argsort(values, kind="stable")
    _, starts, sizes = np.unique(values[order], return_index=True, return_counts=True)
    drawn = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(drawn, axis=1) - (drawn - 1) / 2
    ranks = np.empty_like(weights)
    ranks[:, order] = np.repeat(middle, sizes, axis=1)
    return ranks


def _correlations(one: Floats, other: Floats, weights: Floats) -> Floats:
    """Pearson's correlation in each resample; NaN where something never varies."""
    rows = weights.shape[1]
    one = one - (one * weights).sum(axis=1, keepdims=True) / rows
    other = other - (other * weights).sum(axis=1, keepdims=True) / rows
    spread = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
    together = (weights * one * other).sum(axis=1)
    return np.where(spread > 0, ratio(together, spread), np.nan)
