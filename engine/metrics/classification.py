"""Metrics of single-label answers."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from engine.metrics.calibration import METHOD as CALIBRATION_METHOD
from engine.metrics.calibration import calibration_error, calibration_errors
from engine.metrics.counting import single_label, tally
from engine.metrics.measures import NO_INTERVAL, Interval, Measure, Point, measured
from engine.metrics.ranking import macro_areas
from engine.metrics.resampling import HOW, RESAMPLES, intervals, row_weights, stratified_weights
from engine.metrics.shapes import Answers, Bools, Floats

SMALLEST_PROBABILITY = 1e-15
RANKED = ("roc_auc", "average_precision")
# Resampling a ranking costs rows times labels; many labels get fewer resamples, and say so.
RANKED_WORK, FEWEST_RESAMPLES = 20_000_000, 100
ONE_CLASS = "not defined: the test rows have only one of the labels"


class ClassScores(TypedDict):
    label: str
    precision: float
    recall: float
    f1: float
    support: int


def row_losses(given: Answers) -> Floats:
    chosen = given.probabilities[np.arange(len(given.true)), given.true]
    losses: Floats = -np.log(np.clip(chosen, SMALLEST_PROBABILITY, 1.0))
    return losses


def measure(given: Answers, seed: int = 0, names: Collection[str] | None = None) -> list[Measure]:
    """All metrics, or those named, each with its interval, method and library."""
    points = _points(given, names)
    ranges = _intervals(given, seed, points)
    how = dict.fromkeys(RANKED, _how_ranked(given))
    return [
        measured(name, point, ranges.get(name, NO_INTERVAL), how.get(name, HOW))
        for name, point in points.items()
    ]


def _points(given: Answers, names: Collection[str] | None) -> dict[str, Point]:
    """Only what is wanted is computed: slices and contenders want a few of many."""
    makers = {**_makers_of_counts(given), **_makers_of_probabilities(given)}
    wanted = set(makers) | set(RANKED) if names is None else set(names)
    points = {name: make() for name, make in makers.items() if name in wanted}
    if wanted & set(RANKED):
        ranked = ranked_points(*_against_the_rest(given), ONE_CLASS)
        points |= {name: point for name, point in ranked.items() if name in wanted}
    return points


def _makers_of_counts(given: Answers) -> dict[str, Callable[[], Point]]:
    from sklearn import metrics as sk

    true, predicted = given.true, given.predicted

    def averaged(score: str, kind: str) -> Point:
        value = getattr(sk, f"{score}_score")(true, predicted, average=kind, zero_division=0)
        return Point(value, f"{score}_score(average='{kind}', zero_division=0)")

    def balanced() -> Point:
        present = np.bincount(true, minlength=given.probabilities.shape[1]) > 0
        labels = np.flatnonzero(present)
        value = sk.recall_score(true, predicted, labels=labels, average="macro", zero_division=0)
        return Point(value, "balanced_accuracy_score")

    order = [("f1", "macro"), ("f1", "weighted")]
    order += [(score, kind) for kind in ("macro", "weighted") for score in ("precision", "recall")]
    return {
        "accuracy": lambda: Point(sk.accuracy_score(true, predicted), "accuracy_score"),
        **{f"{kind}_{score}": partial(averaged, score, kind) for score, kind in order},
        "balanced_accuracy": balanced,
        "mcc": lambda: Point(sk.matthews_corrcoef(true, predicted), "matthews_corrcoef"),
    }


def _makers_of_probabilities(given: Answers) -> dict[str, Callable[[], Point]]:
    from sklearn import metrics as sk

    true, chances = given.true, given.probabilities
    every = np.arange(chances.shape[1])

    def among_first(most: int) -> Point:
        value = sk.top_k_accuracy_score(true, chances, k=most, labels=every)
        return Point(value, f"top_k_accuracy_score(k={most})")

    def expected_error() -> Point:
        value = calibration_error(true == given.predicted, given.confidence)
        return Point(value, CALIBRATION_METHOD, "numpy")

    return {
        "log_loss": lambda: Point(sk.log_loss(true, chances, labels=every), "log_loss(labels=all)"),
        "brier": lambda: Point(_brier_rows(given).mean(), _brier_method(given), "numpy"),
        **{
            f"top_{most}_accuracy": partial(among_first, most)
            for most in (3, 5)
            if chances.shape[1] > most + 1
        },
        "ece": expected_error,
    }


def _brier_rows(given: Answers) -> Floats:
    """Squared distance of each row; of the second label alone where there are just two."""
    gaps = given.probabilities - np.eye(given.probabilities.shape[1])[given.true]
    if gaps.shape[1] == 2:
        gaps = gaps[:, 1:]
    rows: Floats = (gaps**2).sum(axis=1)
    return rows


def _brier_method(given: Answers) -> str:
    if given.probabilities.shape[1] == 2:
        return "Brier score of the second label, equal to brier_score_loss"
    return "Brier score summed over labels (Brier 1950), 0 to 2"


def _against_the_rest(given: Answers) -> tuple[Bools, Floats]:
    """Each label against all others, (rows, labels). Two labels are one question: the second."""
    positives = given.true[:, None] == np.arange(given.probabilities.shape[1])
    if positives.shape[1] == 2:
        return positives[:, 1:], given.probabilities[:, 1:]
    return positives, given.probabilities


def ranked_points(positives: Bools, scores: Floats, why_not: str) -> dict[str, Point]:
    """ROC AUC and average precision from probabilities, meaned over labels with both sides."""
    from sklearn import metrics as sk

    defined = positives.any(axis=0) & ~positives.all(axis=0)
    labels, all_labels = int(defined.sum()), positives.shape[1]
    functions = {"roc_auc": sk.roc_auc_score, "average_precision": sk.average_precision_score}
    points = {}
    for name, function in functions.items():
        each = [function(positives[:, k], scores[:, k]) for k in np.flatnonzero(defined)]
        method = f"{function.__name__} of probabilities"
        if all_labels > 1:
            method += f", one label against the rest, mean over {labels} of {all_labels} labels"
        value = float(np.mean(each)) if each else None
        points[name] = Point(value, method, note="" if each else why_not)
    return points


def _intervals(given: Answers, seed: int, wanted: Collection[str]) -> dict[str, Interval]:
    ranges = intervals(row_weights(len(given.true), seed), partial(_resampled, given))
    positives, scores = _against_the_rest(given)
    if set(RANKED) & set(wanted) and (positives.any(axis=0) & ~positives.all(axis=0)).any():
        weights = stratified_weights(given.true, seed, _ranked_resamples(given))
        ranges |= intervals(weights, partial(macro_areas, positives, scores))
    return ranges


def _resampled(given: Answers, weights: Floats) -> dict[str, Floats]:
    rows, labels = given.probabilities.shape
    means = {"log_loss": row_losses(given), "brier": _brier_rows(given)}
    for most in (3, 5):
        if labels > most + 1:
            means[f"top_{most}_accuracy"] = _is_among_first(given, most).astype(np.float64)
    correct = given.true == given.predicted
    return {
        **single_label(tally(given.true, given.predicted, labels, weights)),
        **{name: weights @ values / rows for name, values in means.items()},
        "ece": calibration_errors(correct, given.confidence, weights),
    }


def _is_among_first(given: Answers, most: int) -> Bools:
    own = given.probabilities[np.arange(len(given.true)), given.true]
    is_among: Bools = (given.probabilities > own[:, None]).sum(axis=1) < most
    return is_among


def _ranked_resamples(given: Answers) -> int:
    return int(np.clip(RANKED_WORK // given.probabilities.size, FEWEST_RESAMPLES, RESAMPLES))


def _how_ranked(given: Answers) -> str:
    resamples = _ranked_resamples(given)
    return f"95% percentile bootstrap stratified by label, {resamples} resamples"


def per_class(given: Answers, names: list[str]) -> list[ClassScores]:
    from sklearn import metrics as sk

    columns: Any = sk.precision_recall_fscore_support(
        given.true, given.predicted, labels=np.arange(len(names)), zero_division=0
    )
    return class_scores(names, columns)


def class_scores(names: list[str], columns: Any) -> list[ClassScores]:
    """scikit-learn's four arrays (precision, recall, F1, support) as one row per label."""
    precision, recall, f1, support = columns
    return [
        {
            "label": name,
            "precision": float(precision[index]),
            "recall": float(recall[index]),
            "f1": float(f1[index]),
            "support": int(support[index]),
        }
        for index, name in enumerate(names)
    ]
