"""Estimates the accuracy with twice the rows, from that with a quarter, half and all of them.

The error of most learners falls as a power of the number of rows (Hestness et al. 2017), so that
the gain of each doubling is a fixed share of the gain of the doubling before it.
"""

from dataclasses import dataclass

import numpy as np
from typing_extensions import TypedDict

from engine.data.label_issues import FitPredict, Ints

SHARES = (0.25, 0.5, 1.0)
FOLDS = 3
MIN_ROWS, MAX_COST = 40, 12_000  # Rows; rows times labels.
MIN_GAIN = 0.005


class LearningCurve(TypedDict):
    """Cross-validated accuracy by the number of training rows, and estimated for twice as many."""

    rows: list[int]
    accuracy: list[float]
    doubled_rows: int
    doubled_accuracy: float
    sentence: str


@dataclass(frozen=True)
class _Point:
    rows: int
    accuracy: float


def measure_learning_curve(labels: Ints, predict: FitPredict, seed: int) -> LearningCurve | None:
    """The learning curve; None where the data is too small or too large. `predict` must be of a
    model that is quick to fit."""
    counts = np.bincount(labels)
    present = int((counts > 0).sum())
    if len(labels) < MIN_ROWS or present < 2 or len(labels) * present > MAX_COST:
        return None
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    parts = np.array_split(order, FOLDS)
    points = [_measure(labels, predict, parts, share) for share in SHARES]
    if any(point is None for point in points):
        return None
    quarter, half, whole = (point for point in points if point is not None)
    doubled = extrapolate(quarter.accuracy, half.accuracy, whole.accuracy)
    return LearningCurve(
        rows=[quarter.rows, half.rows, whole.rows],
        accuracy=[quarter.accuracy, half.accuracy, whole.accuracy],
        doubled_rows=2 * whole.rows,
        doubled_accuracy=doubled,
        sentence=_describe(half, whole, doubled),
    )


def extrapolate(quarter: float, half: float, whole: float) -> float:
    """Accuracy with twice the rows, by the last two gains."""
    first, second = half - quarter, whole - half
    if second <= 0:
        return whole
    ratio = min(0.8, max(0.25, second / first)) if first > 0 else 0.5
    return min(1.0, whole + second * ratio)


def _measure(labels: Ints, predict: FitPredict, parts: list[Ints], share: float) -> _Point | None:
    right, sizes = 0, []
    for number, held_out in enumerate(parts):
        train = np.concatenate([part for fold, part in enumerate(parts) if fold != number])
        train = train[: int(share * len(train))]
        if len(np.unique(labels[train])) < 2:
            return None
        right += int((predict(train, held_out).argmax(1) == labels[held_out]).sum())
        sizes.append(len(train))
    return _Point(int(np.mean(sizes)), right / len(labels))


def _describe(half: _Point, whole: _Point, doubled: float) -> str:
    gain = doubled - whole.accuracy
    # Named number… for the translation, in which such a placeholder matches only a number.
    number_of_half, number_half = f"{half.accuracy:.1%}", f"{half.rows:,}"
    number_of_whole, number_whole = f"{whole.accuracy:.1%}", f"{whole.rows:,}"
    start = (
        f"A quick model learns {number_of_half} from {number_half} rows and"
        f" {number_of_whole} from {number_whole}"
    )
    if gain < MIN_GAIN:
        return f"{start}: more rows of this kind would hardly help."
    return f"{start}: twice as many would give about {100 * gain:.1f} points more."
