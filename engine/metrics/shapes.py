"""The four types of predictions on test rows: one label, several labels, a number, a text.

Predictions of a cross-validation have `repeats` from 1 on: the rows then stand in so many blocks,
each of the same rows in the same order, answered by models fitted to other parts of the data.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MulticlassPredictions:
    """One label of several. `true` (rows,), `probabilities` (rows, labels) summing to one."""

    true: Ints
    probabilities: Floats
    repeats: int = 0

    @property
    def predicted(self) -> Ints:
        labels: Ints = self.probabilities.argmax(axis=1)
        return labels

    @property
    def confidence(self) -> Floats:
        highest: Floats = self.probabilities.max(axis=1)
        return highest


@dataclass(frozen=True)
class MultilabelPredictions:
    """Any number of labels. `true` and `probabilities` (rows, labels), `thresholds` (labels,), or
    (rows, labels) where models with thresholds of their own answered."""

    true: Bools
    probabilities: Floats
    thresholds: Floats
    repeats: int = 0

    @property
    def predicted(self) -> Bools:
        return self.probabilities >= self.thresholds


@dataclass(frozen=True)
class RegressionPredictions:
    """A number for each row, true and predicted, both (rows,)."""

    true: Floats
    predicted: Floats
    repeats: int = 0

    @property
    def errors(self) -> Floats:
        return self.predicted - self.true


@dataclass(frozen=True)
class GenerationPredictions:
    """Texts. `losses` is the summed negative log-likelihood of each reference, `tokens` over how
    many tokens; both None if the model gives no probabilities."""

    references: list[str]
    outputs: list[str]
    losses: Floats | None = None
    tokens: Ints | None = None


def make_multiclass_predictions(
    true: npt.ArrayLike, probabilities: npt.ArrayLike
) -> MulticlassPredictions:
    """In double precision, each row scaled to sum to exactly one."""
    exact = np.asarray(probabilities, dtype=np.float64)
    return MulticlassPredictions(
        np.asarray(true, dtype=np.int64), exact / exact.sum(axis=1, keepdims=True)
    )


def make_multilabel_predictions(
    true: npt.ArrayLike, probabilities: npt.ArrayLike, thresholds: npt.ArrayLike = 0.5
) -> MultilabelPredictions:
    """With one threshold for all labels, or one for each."""
    exact = np.asarray(probabilities, dtype=np.float64)
    each = np.broadcast_to(np.asarray(thresholds, dtype=np.float64), exact.shape[1:])
    return MultilabelPredictions(np.asarray(true, dtype=bool), exact, each)


def make_regression_predictions(
    true: npt.ArrayLike, predicted: npt.ArrayLike
) -> RegressionPredictions:
    return RegressionPredictions(
        np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    )
