"""Rows whose label is probably wrong, and whether a model learns more without them.

Confident learning (Northcutt, Jiang and Chuang 2021): out of sample, a row is believed to have
another label where that label's probability reaches the mean that it has on its own rows. What is
found is left out of training only where cross-validation, on the labels as given, is better for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold
from typing_extensions import TypedDict

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# Fits on the first positions and gives probabilities (rows, labels) of the second ones.
FitPredict = Callable[[Ints, Ints], Floats]

FOLDS = 5
MIN_ROWS, MIN_ROWS_OF_A_LABEL = 60, 5
MAX_COST = 30_000  # Rows times labels; with more the folds take longer than a quick training.
MIN_SHARE = 0.02  # Fewer suspects are shown, and too few to gain anything by.
MAX_SHARE = 0.4  # More are no slips: the columns do not tell the labels.
MAX_LISTED = 50
MAX_SHOWN_CHARACTERS = 400


class LabelIssue(TypedDict):
    """A suspected label; `row` counts from 0 in the file, `probability` is the suggested one's."""

    row: int
    text: str
    label: str
    suggested: str
    probability: float


@dataclass(frozen=True)
class LabelExamination:
    """Suspected rows by their position, the surest first, with what they probably are, and the
    accuracy of held-out rows with all rows to learn from, and without the suspects."""

    suspects: Ints
    suggested: Ints
    probabilities: Floats
    accuracy: float
    accuracy_without: float | None = None  # None where it was not tried.

    @property
    def is_better_without(self) -> bool:
        return self.accuracy_without is not None and self.accuracy_without > self.accuracy


def examine_labels(labels: Ints, predict: FitPredict, seed: int) -> LabelExamination | None:
    """None of data that is too small, too large, or too poor in rows of a label to say, and where
    the model doubts so many that it is the model which does not know."""
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
    found = LabelExamination(suspects, suggested, probabilities[suspects, suggested], accuracy)
    if len(suspects) < MIN_SHARE * len(labels):
        return found
    kept = [(np.setdiff1d(train, suspects), test) for train, test in folds]
    if any(len(np.unique(labels[train])) < len(present) for train, _ in kept):
        return found
    without = _predict_folds(kept, predict, len(labels))
    right = float((without.argmax(1) == labels).mean())
    return LabelExamination(suspects, suggested, found.probabilities, accuracy, right)


def find_suspects(probabilities: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Positions and probable labels, in the order of how much likelier these are than the given."""
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
    found: LabelExamination,
    rows: Ints,
    *,
    labels: Ints,
    label_names: Sequence[str],
    texts: Sequence[str],
    source_rows: Sequence[int],
) -> list[LabelIssue]:
    """The surest suspects as the report shows them. `rows` are those that were examined; the rest
    is of all usable rows."""
    chosen = zip(rows[found.suspects], found.suggested, found.probabilities, strict=True)
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


def describe_examination(found: LabelExamination, rows: int) -> str:
    """What was found, and what came of it; empty where nothing was."""
    count = len(found.suspects)
    if not count:
        return ""
    start = (
        f"{count:,} of {rows:,} training rows seem to have a wrong label"
        if count > 1
        else (f"1 of {rows:,} training rows seems to have a wrong label")
    )
    if found.is_better_without:
        assert found.accuracy_without is not None
        return (
            f"{start}. Without them cross-validated accuracy rises from {found.accuracy:.1%} to"
            f" {found.accuracy_without:.1%}, so the model did not learn from them. They are listed"
            " under Mistakes: correct them, and the model learns from all rows."
        )
    return f"{start}. They were learnt all the same; read them under Mistakes."


def _predict_folds(folds: list[tuple[Ints, Ints]], predict: FitPredict, rows: int) -> Floats:
    parts = [predict(train, test) for train, test in folds]
    probabilities = np.zeros((rows, parts[0].shape[1]))
    for (_, test), part in zip(folds, parts, strict=True):
        probabilities[test] = part
    return probabilities
