"""Finds rows whose label is probably wrong, and whether a model learns more without them.

Confident learning (Northcutt, Jiang and Chuang 2021): a row is suspected of having another label
where that label's out-of-sample probability reaches its mean over the rows that have it. Suspects
are left out of training only where that raises the cross-validated accuracy on the given labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold
from typing_extensions import TypedDict

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# Fits on the first positions and returns probabilities of the second ones, shape (rows, labels).
FitPredict = Callable[[Ints, Ints], Floats]

FOLDS = 5
MIN_ROWS, MIN_ROWS_OF_A_LABEL = 60, 5
MAX_COST = 30_000  # Rows times labels; with more the folds take longer than a quick training.
MIN_SHARE = 0.02  # Fewer suspects are listed, but leaving them out would change too little.
MAX_SHARE = 0.4  # More are not errors: the labels cannot be predicted from the columns.
MAX_LISTED = 50
MAX_SHOWN_CHARACTERS = 400


class LabelIssue(TypedDict):
    """A suspected label. `row`: its number in the file, from 0. `probability`: of the suggested
    label."""

    row: int
    text: str
    label: str
    suggested: str
    probability: float


@dataclass(frozen=True)
class LabelExamination:
    """The positions of suspected rows, the most certain first, with their suggested labels and
    these labels' probabilities; and the accuracy on held-out rows of a model trained on all rows,
    and of one trained without the suspects."""

    suspects: Ints
    suggested: Ints
    probabilities: Floats
    accuracy: float
    accuracy_without: float | None = None  # None where it was not tried.

    @property
    def is_better_without(self) -> bool:
        return self.accuracy_without is not None and self.accuracy_without > self.accuracy


def examine_labels(labels: Ints, predict: FitPredict, seed: int) -> LabelExamination | None:
    """The examination; None where the data is too small or too large, a label has too few rows, or
    there are so many suspects that the model is poor."""
    counts = np.bincount(labels)
    present = counts[counts > 0]
    is_fit = len(labels) >= MIN_ROWS and present.min() >= MIN_ROWS_OF_A_LABEL and len(present) > 1
    if not is_fit or len(labels) * len(present) > MAX_COST:
        return None
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    folds = [(train, test) for train, test in splitter.split(labels, labels)]
    probabilities = _predict_folds(folds, predict, len(labels))
    suspects, suggested = find_suspects(probabilities, labels)
    if len(suspects) > MAX_SHARE * len(labels):
        return None
    accuracy = float((probabilities.argmax(1) == labels).mean())
    examination = LabelExamination(
        suspects, suggested, probabilities[suspects, suggested], accuracy
    )
    if len(suspects) < MIN_SHARE * len(labels):
        return examination
    reduced_folds = [(np.setdiff1d(train, suspects), test) for train, test in folds]
    if any(len(np.unique(labels[train])) < len(present) for train, _ in reduced_folds):
        return examination
    without = _predict_folds(reduced_folds, predict, len(labels))
    accuracy_without = float((without.argmax(1) == labels).mean())
    return replace(examination, accuracy_without=accuracy_without)


def find_suspects(probabilities: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """The positions of suspected rows and their suggested labels, by how much more probable these
    are than the given labels."""
    rows = np.arange(len(labels))
    thresholds = np.array([
        probabilities[labels == label, label].mean() if (labels == label).any() else 1.0
        for label in range(probabilities.shape[1])
    ])  # fmt: skip
    confident = np.where(probabilities >= thresholds, probabilities, 0.0)
    believed = confident.argmax(1)
    is_suspect = (confident.max(1) > 0) & (believed != labels)
    margin = probabilities[rows, believed] - probabilities[rows, labels]
    suspects = np.flatnonzero(is_suspect & (margin > 0))
    order = np.argsort(-margin[suspects], kind="stable")
    return suspects[order], believed[suspects[order]]


def list_label_issues(
    examination: LabelExamination,
    rows: Ints,
    *,
    labels: Ints,
    label_names: Sequence[str],
    texts: Sequence[str],
    source_rows: Sequence[int],
) -> list[LabelIssue]:
    """The most certain suspects, for the report. `rows`: the rows that were examined; the other
    arguments are of all usable rows."""
    chosen = zip(
        rows[examination.suspects], examination.suggested, examination.probabilities, strict=True
    )
    return [
        LabelIssue(
            row=int(source_rows[row]),
            text=texts[row][:MAX_SHOWN_CHARACTERS],
            label=label_names[int(labels[row])],
            suggested=label_names[int(suggested)],
            probability=float(probability),
        )
        for row, suggested, probability in islice(chosen, MAX_LISTED)
    ]


def describe_examination(examination: LabelExamination, rows: int) -> str:
    """Sentences on the suspects and whether they were left out; "" where there are none."""
    count = len(examination.suspects)
    if not count:
        return ""
    start = (
        f"{count:,} of {rows:,} training rows seem to have a wrong label"
        if count > 1
        else (f"1 of {rows:,} training rows seems to have a wrong label")
    )
    if examination.is_better_without:
        assert examination.accuracy_without is not None
        return (
            f"{start}. Without them cross-validated accuracy rises from"
            f" {examination.accuracy:.1%} to {examination.accuracy_without:.1%}, so the model did"
            " not learn from them. They are listed under Mistakes: correct them, and the model"
            " learns from all rows."
        )
    return f"{start}. They were learnt all the same; read them under Mistakes."


def _predict_folds(folds: list[tuple[Ints, Ints]], predict: FitPredict, rows: int) -> Floats:
    parts = [predict(train, test) for train, test in folds]
    probabilities = np.zeros((rows, parts[0].shape[1]))
    for (_, test), part in zip(folds, parts, strict=True):
        probabilities[test] = part
    return probabilities
