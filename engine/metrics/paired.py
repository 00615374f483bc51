"""Is one model better than another on the same rows, or may the difference be chance?"""

import math
from collections.abc import Callable
from typing import NotRequired

import numpy as np
from typing_extensions import TypedDict

from engine.metrics.resampling import RESAMPLES, percentiles, row_weights
from engine.metrics.shapes import Floats, Ints

MCNEMAR = "exact McNemar test (two-sided binomial over discordant rows)"
PAIRED = f"paired bootstrap over rows, {RESAMPLES} resamples, two-sided"


class Significance(TypedDict):
    """`difference` is this model less the other, in `metric`; `p_value` that it is chance."""

    method: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    p_value: float
    tuned_only_right: NotRequired[int]
    other_only_right: NotRequired[int]


def compare(tuned: Ints, other: Ints, true: Ints) -> Significance:
    """Exact McNemar test on the rows where exactly one of two classifiers is right."""
    return compare_right(tuned == true, other == true, "accuracy")


def compare_right(tuned: np.ndarray, other: np.ndarray, metric: str) -> Significance:
    """The same from which rows each of the two has right."""
    tuned_only = int((tuned & ~other).sum())
    other_only = int((~tuned & other).sum())
    rows = max(1, len(tuned))
    share = np.array([tuned_only, other_only, rows - tuned_only - other_only]) / rows
    # Resampling rows is a multinomial draw over the three outcomes.
    drawn = np.random.default_rng(0).multinomial(rows, share, size=RESAMPLES)
    low, high = percentiles((drawn[:, 0] - drawn[:, 1]) / rows)
    return {
        "method": MCNEMAR,
        "metric": metric,
        "difference": (tuned_only - other_only) / rows,
        "low": low,
        "high": high,
        "p_value": binomial_p(min(tuned_only, other_only), tuned_only + other_only),
        "tuned_only_right": tuned_only,
        "other_only_right": other_only,
    }


def binomial_p(fewer: int, trials: int) -> float:
    """Two-sided exact binomial test of one half: twice the smaller tail, at most 1."""
    if not trials:
        return 1.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(fewer + 1)
    ]
    highest = max(logs)
    tail = highest + math.log(math.fsum(math.exp(one - highest) for one in logs))
    return min(1.0, 2 * math.exp(tail - trials * math.log(2)))


def compare_rows(tuned: Floats, other: Floats, metric: str) -> Significance:
    """Paired bootstrap of the mean of a row score."""
    gaps = tuned - other
    return _bootstrapped(
        metric, len(gaps), lambda weights: weights @ gaps / len(gaps), float(gaps.mean())
    )


def compare_by(metric: str, rows: int, difference: Callable[[Floats], Floats]) -> Significance:
    """Paired bootstrap of any difference that row weights (samples, rows) give."""
    actual = float(difference(np.ones((1, rows)))[0])
    return _bootstrapped(metric, rows, difference, actual)


def _bootstrapped(
    metric: str, rows: int, difference: Callable[[Floats], Floats], actual: float
) -> Significance:
    drawn = np.concatenate([difference(weights) for weights in row_weights(rows, seed=0)])
    low, high = percentiles(drawn)
    return {
        "method": PAIRED,
        "metric": metric,
        "difference": actual,
        "low": low,
        "high": high,
        "p_value": _bootstrap_p(drawn),
    }


def _bootstrap_p(drawn: Floats) -> float:
    """Twice the share of resamples on the other side of no difference (Efron & Tibshirani)."""
    below = (1 + int((drawn <= 0).sum())) / (1 + len(drawn))
    above = (1 + int((drawn >= 0).sum())) / (1 + len(drawn))
    return float(min(1.0, 2 * min(below, above)))
