"""Metrics of predicted numbers."""

from functools import partial

import numpy as np

from engine.metrics.measures import NO_INTERVAL, Measure, PointEstimate, make_measure
from engine.metrics.resampling import (
    bootstrap_intervals,
    bootstrap_weights,
    describe_bootstrap,
    safe_divide,
)
from engine.metrics.shapes import Floats, RegressionPredictions

TOO_FEW_ROWS_NOTE = "not defined: fewer than two test rows"
CONSTANT_VALUES_NOTE = "not defined: the target or the predictions never vary on the test rows"


def measure(predictions: RegressionPredictions, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method and library."""
    formulas = partial(_resampled_metrics, predictions)
    rows, repeats = len(predictions.true), predictions.repeats
    ranges = bootstrap_intervals(bootstrap_weights(rows, seed, repeats=repeats), formulas)
    return [
        make_measure(name, point, ranges.get(name, NO_INTERVAL), describe_bootstrap(repeats))
        for name, point in _compute_points(predictions).items()
    ]


def _compute_points(predictions: RegressionPredictions) -> dict[str, PointEstimate]:
    from scipy import stats
    from sklearn import metrics as sk

    true, predicted = predictions.true, predictions.predicted
    has_rows = len(true) > 1
    why_not = CONSTANT_VALUES_NOTE if has_rows else TOO_FEW_ROWS_NOTE
    varies = has_rows and np.ptp(true) > 0 and np.ptp(predicted) > 0
    r2 = sk.r2_score(true, predicted) if has_rows and np.ptp(true) > 0 else None
    rank = float(stats.spearmanr(true, predicted).statistic) if varies else None
    return {
        "mae": PointEstimate(sk.mean_absolute_error(true, predicted), "mean_absolute_error"),
        "rmse": PointEstimate(
            sk.root_mean_squared_error(true, predicted), "root_mean_squared_error"
        ),
        "r2": PointEstimate(r2, "r2_score", note="" if r2 is not None else why_not),
        "median_ae": PointEstimate(
            sk.median_absolute_error(true, predicted), "median_absolute_error"
        ),
        "spearman": PointEstimate(rank, "spearmanr", "scipy", note="" if varies else why_not),
        "bias": PointEstimate(predictions.errors.mean(), "mean of predicted minus true", "numpy"),
    }


def _resampled_metrics(predictions: RegressionPredictions, weights: Floats) -> dict[str, Floats]:
    rows = len(predictions.true)
    sizes = np.abs(predictions.errors)
    squares = weights @ sizes**2
    centred = predictions.true - predictions.true.mean()
    spread = weights @ centred**2 - (weights @ centred) ** 2 / rows
    return {
        "mae": weights @ sizes / rows,
        "rmse": np.sqrt(squares / rows),
        "r2": np.where(spread > 0, 1 - safe_divide(squares, spread), np.nan),
        "median_ae": _medians(sizes, weights),
        "spearman": _correlations(
            _ranks(predictions.true, weights), _ranks(predictions.predicted, weights), weights
        ),
        "bias": weights @ predictions.errors / rows,
    }


def _medians(values: Floats, weights: Floats) -> Floats:
    """Median of each resample: the mean of its two middle values."""
    order = np.argsort(values, kind="stable")
    drawn_so_far = np.cumsum(weights[:, order], axis=1)
    rows = weights.shape[1]
    middle = [
        values[order][(drawn_so_far > place).argmax(axis=1)]
        for place in ((rows - 1) // 2, rows // 2)
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
    covariance = (weights * one * other).sum(axis=1)
    return np.where(spread > 0, safe_divide(covariance, spread), np.nan)
