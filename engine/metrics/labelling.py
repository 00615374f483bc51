"""Metrics of multi-label answers."""

from functools import partial

import numpy as np

from engine.metrics.calibration import METHOD as CALIBRATION_METHOD
from engine.metrics.calibration import calibration_error
from engine.metrics.classification import (
    FEWEST_RESAMPLES,
    RANKED_WORK,
    SMALLEST_PROBABILITY,
    ClassScores,
    class_scores,
    ranked_points,
)
from engine.metrics.counting import Tally
from engine.metrics.measures import NO_INTERVAL, Interval, Measure, Point, measured
from engine.metrics.ranking import macro_areas
from engine.metrics.resampling import HOW, RESAMPLES, intervals, ratio, row_weights
from engine.metrics.shapes import Bools, Floats, LabelSets

NO_SIDES = "not defined: no label is both present and absent among the test rows"


def measure(given: LabelSets, seed: int = 0) -> list[Measure]:
    """All metrics, each with its interval, method and library."""
    points = _points(given)
    ranges = intervals(row_weights(len(given.true), seed), partial(_resampled, given))
    ranges |= _ranked_intervals(given, seed)
    return [
        measured(name, point, ranges.get(name, NO_INTERVAL), _how(name, given))
        for name, point in points.items()
    ]


def _points(given: LabelSets) -> dict[str, Point]:
    from sklearn import metrics as sk

    true, predicted = given.true, given.predicted
    points = {}
    for kind in ("micro", "macro", "weighted"):
        for score in ("f1", "precision", "recall"):
            value = getattr(sk, f"{score}_score")(true, predicted, average=kind, zero_division=0)
            method = f"{score}_score(average='{kind}', zero_division=0)"
            points[f"{kind}_{score}"] = Point(value, method)
    f1 = sk.f1_score(true, predicted, average="samples", zero_division=0)
    points["samples_f1"] = Point(f1, "f1_score(average='samples', zero_division=0)")
    points["subset_accuracy"] = Point(sk.accuracy_score(true, predicted), "accuracy_score")
    points["hamming_loss"] = Point(sk.hamming_loss(true, predicted), "hamming_loss")
    points |= ranked_points(true, given.probabilities, NO_SIDES)
    points |= {
        "log_loss": Point(_losses(given).mean(), "mean of log_loss over labels", "numpy"),
        "brier": Point(_squares(given).mean(), "mean of brier_score_loss over labels", "numpy"),
        "ece": Point(_calibration(given), f"{CALIBRATION_METHOD} of all decisions", "numpy"),
    }
    first = ("micro_f1", "macro_f1", "subset_accuracy")
    return {name: points[name] for name in (*first, *(n for n in points if n not in first))}


def _losses(given: LabelSets) -> Floats:
    """(rows,): mean binary cross-entropy over the labels of a row."""
    chance = np.where(given.true, given.probabilities, 1 - given.probabilities)
    losses: Floats = -np.log(np.clip(chance, SMALLEST_PROBABILITY, 1.0)).mean(axis=1)
    return losses


def _squares(given: LabelSets) -> Floats:
    squares: Floats = ((given.probabilities - given.true) ** 2).mean(axis=1)
    return squares


def _calibration(given: LabelSets) -> float:
    correct, confidence = decisions(given)
    return calibration_error(correct, confidence)


def decisions(given: LabelSets) -> tuple[Bools, Floats]:
    """Each yes or no as one decision: whether it is right at one half, and how sure it is."""
    said = given.probabilities >= 0.5
    sure = np.where(said, given.probabilities, 1 - given.probabilities)
    return (said == given.true).ravel(), sure.ravel()


def _resampled(given: LabelSets, weights: Floats) -> dict[str, Floats]:
    true, predicted = given.true.astype(np.float64), given.predicted.astype(np.float64)
    rows, both = len(true), true * predicted
    counts = Tally(weights @ both, weights @ predicted, weights @ true, float(rows))
    hits = counts.hits.sum(axis=1)
    row_f1 = ratio(2 * both.sum(axis=1), (true + predicted).sum(axis=1))
    means = {
        "samples_f1": row_f1,
        "subset_accuracy": (given.true == given.predicted).all(axis=1).astype(np.float64),
        "hamming_loss": (given.true != given.predicted).mean(axis=1),
        "log_loss": _losses(given),
        "brier": _squares(given),
    }
    return {
        "micro_f1": counts.micro_f1(),
        "micro_precision": ratio(hits, counts.claimed.sum(axis=1)),
        "micro_recall": ratio(hits, counts.support.sum(axis=1)),
        # scikit-learn's macro over label sets counts every label, also those never seen.
        "macro_f1": counts.f1.mean(axis=1),
        "macro_precision": counts.precision.mean(axis=1),
        "macro_recall": counts.recall.mean(axis=1),
        "weighted_f1": counts.weighted(counts.f1),
        "weighted_precision": counts.weighted(counts.precision),
        "weighted_recall": counts.weighted(counts.recall),
        **{name: weights @ values / rows for name, values in means.items()},
    }


def _ranked_resamples(given: LabelSets) -> int:
    return int(np.clip(RANKED_WORK // given.true.size, FEWEST_RESAMPLES, RESAMPLES))


def _ranked_intervals(given: LabelSets, seed: int) -> dict[str, Interval]:
    sides = given.true.any(axis=0) & ~given.true.all(axis=0)
    if not sides.any():
        return {}
    weights = row_weights(len(given.true), seed, _ranked_resamples(given))
    return intervals(weights, partial(macro_areas, given.true, given.probabilities))


def _how(name: str, given: LabelSets) -> str:
    if name not in ("roc_auc", "average_precision"):
        return HOW
    return f"95% percentile bootstrap over rows, {_ranked_resamples(given)} resamples"


def per_class(given: LabelSets, names: list[str]) -> list[ClassScores]:
    from sklearn import metrics as sk

    return class_scores(
        names,
        sk.precision_recall_fscore_support(
            given.true, given.predicted, labels=np.arange(len(names)), zero_division=0
        ),
    )
