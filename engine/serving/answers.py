"""What served models answer, and the arithmetic that classifiers of every kind share."""

from collections.abc import Sequence
from typing import Literal, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

Float = TypeVar("Float", np.float32, np.float64)


class Answer(TypedDict, total=False):
    """One row's answer; which keys it has follows from `manifest.target.kind`."""

    label: str  # Kind "label", with its probability.
    probability: float
    labels: list[str]  # Kind "labels": those whose probability reaches their threshold.
    probabilities: dict[str, float]  # By label, for both.
    value: float  # Kind "number", in the unit of the training data.
    text: str  # Kind "text", with the three below.
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int


def softmax(logits: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Probabilities (rows, labels) in the precision of the logits, each row summing to 1."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: npt.NDArray[Float] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities


def label_answers(
    labels: Sequence[str], probabilities: npt.NDArray[np.float32] | npt.NDArray[np.float64]
) -> list[Answer]:
    """The likeliest label of each row, with all probabilities (rows, labels)."""
    return [
        Answer(
            label=labels[int(row.argmax())],
            probability=float(row.max()),
            probabilities=dict(zip(labels, row.tolist(), strict=True)),
        )
        for row in probabilities
    ]


def label_set_answers(
    labels: Sequence[str],
    probabilities: npt.NDArray[np.float32] | npt.NDArray[np.float64],
    thresholds: Sequence[float],
) -> list[Answer]:
    """The labels of each row whose probability reaches their threshold, and all probabilities."""
    return [
        Answer(
            labels=[
                label
                for label, probability, threshold in zip(labels, row, thresholds, strict=True)
                if probability >= threshold
            ],
            probabilities=dict(zip(labels, row, strict=True)),
        )
        for row in probabilities.tolist()
    ]


def number_answers(values: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> list[Answer]:
    """One number for each row, from an array (rows,)."""
    return [Answer(value=float(value)) for value in values]
