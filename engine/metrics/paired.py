"""Paired tests of whether one model is better than another on the same rows."""

import math
from collections.abc import Callable
from typing import NotRequired

import numpy as np
from typing_extensions import TypedDict

from engine.metrics.resampling import (
    CROSS_VALIDATED_VARIANCE,
    RESAMPLES,
    bootstrap_weights,
    percentile_interval,
)
from engine.metrics.shapes import Floats, Ints

MCNEMAR_METHOD = "exact McNemar test (two-sided binomial over discordant rows)"
PAIRED_BOOTSTRAP_METHOD = f"paired bootstrap over rows, {RESAMPLES} resamples, two-sided"
CROSS_VALIDATED_METHOD = (
    f"{PAIRED_BOOTSTRAP_METHOD}, of {1 / CROSS_VALIDATED_VARIANCE:.2f} of the rows, for the models"
    " of a cross-validation share rows"
)


class Significance(TypedDict):
    """`difference` is this model less the other, in `metric`."""

    method: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    p_value: float
    tuned_only_right: NotRequired[int]
    other_only_right: NotRequired[int]


def mcnemar_test(tuned: Ints, other: Ints, true: Ints) -> Significance:
    """Exact McNemar test on the rows where exactly one of two classifiers is right."""
    return mcnemar_test_of_correctness(tuned == true, other == true, "accuracy")


def mcnemar_test_of_correctness(tuned: np.ndarray, other: np.ndarray, metric: str) -> Significance:
    """The same, given which rows each of the two has right."""
    tuned_only = int((tuned & ~other).sum())
    other_only = int((~tuned & other).sum())
    rows = max(1, len(tuned))
    share = np.array([tuned_only, other_only, rows - tuned_only - other_only]) / rows
    # Resampling rows is a multinomial draw over the three outcomes.
    drawn = np.random.default_rng(0).multinomial(rows, share, size=RESAMPLES)
    low, high = percentile_interval((drawn[:, 0] - drawn[:, 1]) / rows)
    return {
        "method": MCNEMAR_METHOD,
        "metric": metric,
        "difference": (tuned_only - other_only) / rows,
        "low": low,
        "high": high,
        "p_value": binomial_p_value(min(tuned_only, other_only), tuned_only + other_only),
        "tuned_only_right": tuned_only,
        "other_only_right": other_only,
    }


def binomial_p_value(fewer: int, trials: int) -> float:
    """Two-sided exact binomial test of one half: twice the smaller tail, at most 1."""
    if not trials:
        return 1.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(fewer + 1)
    ]
    highest = max(logs)
    tail = highest + math.log(math.fsum(math.exp(value - highest) for value in logs))
    return min(1.0, 2 * math.exp(tail - trials * math.log(2)))


def bootstrap_row_scores(
    tuned: Floats, other: Floats, metric: str, repeats: int = 0
) -> Significance:
    """Paired bootstrap of the mean of a row score."""
    gaps = tuned - other
    rows = len(gaps)
    return bootstrap_difference(metric, rows, lambda weights: weights @ gaps / rows, repeats)


def bootstrap_difference(
    metric: str, rows: int, difference: Callable[[Floats], Floats], repeats: int = 0
) -> Significance:
    """Paired bootstrap of any difference that row weights (samples, rows) give; `repeats` as the
    predictions have them."""
    actual = float(difference(np.ones((1, rows)))[0])
    batches = bootstrap_weights(rows, seed=0, repeats=repeats)
    drawn = np.concatenate([difference(weights) for weights in batches])
    low, high = percentile_interval(drawn)
    # Twice the share of resamples on the other side of no difference (Efron & Tibshirani).
    below = (1 + int((drawn <= 0).sum())) / (1 + len(drawn))
    above = (1 + int((drawn >= 0).sum())) / (1 + len(drawn))
    return {
        "method": CROSS_VALIDATED_METHOD if repeats else PAIRED_BOOTSTRAP_METHOD,
        "metric": metric,
        "difference": actual,
        "low": low,
        "high": high,
        "p_value": float(min(1.0, 2 * min(below, above))),
    }
