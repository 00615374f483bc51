"""Intervals of shares that hold with few rows and do not collapse at 0 or 100 %.

Resampling rows that are all right can only give rows that are all right: the percentile bootstrap
then claims certainty. These intervals come from counts instead and are joined to the bootstrap's.
Wilson 1927 for one share; Zou & Donner 2008 (MOVER) for a mean of shares; Clopper & Pearson 1934
for a ranking without an error.
"""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from engine.metrics.counting import LabelCounts
from engine.metrics.measures import Interval
from engine.metrics.resampling import effective_rows, safe_divide
from engine.metrics.shapes import Bools, Floats

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
PROPORTION_METHOD = "joined with the Wilson intervals of its counts"
# Shares that are no count of rows or decisions.
RESAMPLED_ONLY = ("ece", "hamming_loss", "samples_f1")
Bounds = tuple[Floats, Floats]


def wilson_bounds(hits: Floats, rows: Floats) -> Bounds:
    """Lower and upper ends for each share `hits` of `rows`; 0 and 1 where there are no rows."""
    share = safe_divide(hits, rows)
    divisor = 1 + safe_divide(np.full_like(rows, Z**2), rows)
    middle = (share + safe_divide(np.full_like(rows, Z**2), 2 * rows)) / divisor
    variance = safe_divide(share * (1 - share), rows) + safe_divide(
        np.full_like(rows, Z**2), 4 * rows**2
    )
    reach = Z * np.sqrt(variance) / divisor
    known = rows > 0
    return np.where(known, middle - reach, 0.0).clip(0), np.where(known, middle + reach, 1.0).clip(
        max=1
    )


def wilson_interval(hits: float, rows: float) -> Interval:
    low, high = wilson_bounds(np.array([hits], float), np.array([rows], float))
    return float(low[0]), float(high[0])


def f1_bounds(hits: Floats, predicted: Floats, support: Floats) -> Bounds:
    """F1 is 2J / (1 + J) of the share J of hits among all rows that are true or predicted."""
    ends = wilson_bounds(hits, predicted + support - hits)
    low, high = (2 * end / (1 + end) for end in ends)
    return low, high


def interval_of_mean(values: Floats, bounds: Bounds, weights: Floats) -> Interval:
    """Of a weighted mean of independent shares; the weights add up to 1."""
    low, high = bounds
    mean = float((weights * values).sum())
    down = float(np.sqrt(((weights * (values - low)) ** 2).sum()))
    up = float(np.sqrt(((weights * (high - values)) ** 2).sum()))
    return max(0.0, mean - down), min(1.0, mean + up)


def count_intervals(counts: LabelCounts) -> dict[str, Interval]:
    """Of every averaged precision, recall and F1 of one sample (1, labels)."""
    hits, predicted = counts.true_positives[0], counts.predicted_positives[0]
    support = counts.support[0]
    scores = {
        "precision": (counts.precision[0], wilson_bounds(hits, predicted)),
        "recall": (counts.recall[0], wilson_bounds(hits, support)),
        "f1": (counts.f1[0], f1_bounds(hits, predicted, support)),
    }
    occurs, present = (support + predicted) > 0, support > 0
    intervals = {}
    for name, (values, bounds) in scores.items():
        macro, weighted = _normalise(occurs.astype(float)), _normalise(support)
        intervals[f"macro_{name}"] = interval_of_mean(values, bounds, macro)
        intervals[f"weighted_{name}"] = interval_of_mean(values, bounds, weighted)
    values, bounds = scores["recall"]
    balanced = _normalise(present.astype(float))
    intervals["balanced_accuracy"] = interval_of_mean(values, bounds, balanced)
    return intervals


def micro_intervals(counts: LabelCounts) -> dict[str, Interval]:
    """Of micro precision, recall and F1, which count every decision."""
    hits = counts.true_positives.sum(1)
    predicted, support = counts.predicted_positives.sum(1), counts.support.sum(1)
    ends = f1_bounds(hits, predicted, support)
    return {
        "micro_precision": wilson_interval(float(hits[0]), float(predicted[0])),
        "micro_recall": wilson_interval(float(hits[0]), float(support[0])),
        "micro_f1": (float(ends[0][0]), float(ends[1][0])),
    }


def ranking_intervals(
    positives: Bools, points: Mapping[str, float | None], repeats: int = 0
) -> dict[str, Interval]:
    """For rankings without an error: as if each of the rarer kind of rows had been one trial, by
    the label with the fewest."""
    fewest = np.minimum(positives.sum(0), (~positives).sum(0))
    fewest = np.ceil(effective_rows(1, repeats) * fewest)
    defined = fewest[fewest > 0]
    if not len(defined):
        return {}
    low = ((1 - CONFIDENCE) / 2) ** (1 / int(defined.min()))
    return {name: (low, 1.0) for name, value in points.items() if value is not None and value >= 1}


def join_intervals(
    first: Mapping[str, Interval], second: Mapping[str, Interval]
) -> dict[str, Interval]:
    """For each name the ends that lie further out."""
    joined = dict(first)
    for name, interval in second.items():
        ends = [joined.get(name, interval), interval]
        lows = [low for low, _ in ends if low is not None]
        highs = [high for _, high in ends if high is not None]
        joined[name] = (min(lows, default=None), max(highs, default=None))
    return joined


def _normalise(weights: Floats) -> Floats:
    return safe_divide(weights, np.full_like(weights, weights.sum()))
