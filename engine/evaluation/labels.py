"""The parts of a report on labels: confusion, curves, calibration, rows worth reading."""

from typing import Any

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import Confusion, Curve
from engine.metrics import classification, labelling, ranking
from engine.metrics.calibration import calibration_bins, reliability
from engine.metrics.shapes import Answers, Bools, Floats, LabelSets

LARGEST_FULL_MATRIX = 50
SHOWN_ROWS = 10
SHOWN_PAIRS = 30
SHOWN_CURVES = 8
SHOWN_CHARACTERS = 2000
NONE = "(none)"


def single_label_parts(given: Answers, rows: TestRows) -> Any:
    """A partial Report."""
    names = rows.label_names
    positives = given.true[:, None] == np.arange(len(names))
    return {
        "per_class": classification.per_class(given, names),
        "confusion": confusion(given, names),
        "curves": curves(positives, given.probabilities, names),
        "calibration": {"bins": calibration_bins(given)},
        "examples": _examples(given, rows),
    }


def multi_label_parts(given: LabelSets, rows: TestRows) -> Any:
    """A partial Report."""
    return {
        "per_class": labelling.per_class(given, rows.label_names),
        "curves": curves(given.true, given.probabilities, rows.label_names, is_binary=False),
        "calibration": {"bins": reliability(*labelling.decisions(given))},
        "examples": _set_examples(given, rows),
    }


def confusion(given: Answers, names: list[str]) -> Confusion:
    """The whole matrix (true by row) up to 50 labels; the most confused pairs always."""
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (given.true, given.predicted), 1)
    wrong = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN_PAIRS]
    places = [divmod(int(place), len(names)) for place in order]
    return {
        "labels": names,
        "matrix": matrix.tolist() if len(names) <= LARGEST_FULL_MATRIX else None,
        "pairs": [
            {"true": names[true], "predicted": names[said], "count": int(wrong[true, said])}
            for true, said in places
            if wrong[true, said]
        ],
    }


def curves(
    positives: Bools, scores: Floats, names: list[str], *, is_binary: bool = True
) -> list[Curve]:
    """ROC and PR of each label against the rest; of the weakest ones when there are many.

    Of two labels that exclude each other only the second: the first is its mirror image.
    """
    once = np.ones((1, len(scores)))
    found: list[Curve] = []
    for label in range(1 if is_binary and len(names) == 2 else 0, len(names)):
        ranked = ranking.ranked(positives[:, label], scores[:, label])
        if ranked.is_defined:
            auc, precision = ranking.areas(ranked, once)
            found.append(
                {
                    "label": names[label],
                    "positives": int(positives[:, label].sum()),
                    "roc_auc": float(auc[0]),
                    "average_precision": float(precision[0]),
                    "roc": [],
                    "pr": [],
                }
            )
    weakest = sorted(found, key=lambda one: one["roc_auc"])[:SHOWN_CURVES]
    return [_drawn(one, positives, scores, names) for one in weakest]


def _drawn(curve: Curve, positives: Bools, scores: Floats, names: list[str]) -> Curve:
    label = names.index(curve["label"])
    points = ranking.curves(positives[:, label], scores[:, label])
    return {**curve, "roc": points["roc"], "pr": points["pr"]}


def _examples(given: Answers, rows: TestRows) -> dict[str, list[dict[str, Any]]]:
    """best: right and sure. worst: wrong and sure. confused: torn between two labels. random:
    drawn, good or bad."""
    right, sureness = given.true == given.predicted, given.confidence
    first_two = np.sort(given.probabilities, axis=1)[:, -2:]
    margin = first_two[:, 1] - first_two[:, 0]

    def rows_by(order: Floats, keep: Bools) -> list[dict[str, Any]]:
        chosen = [int(row) for row in np.argsort(order, kind="stable") if keep[row]]
        return [_shown(given, rows, row) for row in chosen[:SHOWN_ROWS]]

    return {
        "best": rows_by(-sureness, right),
        "worst": rows_by(-sureness, ~right),
        "confused": rows_by(margin, np.ones_like(right)),
        "random": [_shown(given, rows, row) for row in drawn(len(right))],
    }


def drawn(rows: int) -> list[int]:
    """SHOWN_ROWS of so many, always the same ones, in their order."""
    return sorted(np.random.default_rng(0).permutation(rows)[:SHOWN_ROWS].tolist())


def _shown(given: Answers, rows: TestRows, row: int) -> dict[str, Any]:
    second = int(np.argsort(given.probabilities[row])[-2])
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:SHOWN_CHARACTERS],
        "true": rows.label_names[given.true[row]],
        "predicted": rows.label_names[given.predicted[row]],
        "probability": float(given.confidence[row]),
        "runner_up": rows.label_names[second],
        "runner_up_probability": float(given.probabilities[row, second]),
    }


def _set_examples(given: LabelSets, rows: TestRows) -> dict[str, list[dict[str, Any]]]:
    """The same by how surprising the true labels are, and how near a threshold the answer is."""
    chance = np.where(given.true, given.probabilities, 1 - given.probabilities)
    surprise = -np.log(np.clip(chance, 1e-15, 1)).mean(axis=1)
    nearness = np.abs(given.probabilities - given.thresholds).min(axis=1)
    right = (given.true == given.predicted).all(axis=1)

    def rows_by(order: Floats, keep: Bools) -> list[dict[str, Any]]:
        chosen = [int(row) for row in np.argsort(order, kind="stable") if keep[row]]
        return [_shown_set(given, rows, row) for row in chosen[:SHOWN_ROWS]]

    return {
        "best": rows_by(surprise, right),
        "worst": rows_by(-surprise, ~right),
        "confused": rows_by(nearness, np.ones_like(right)),
        "random": [_shown_set(given, rows, row) for row in drawn(len(right))],
    }


def _shown_set(given: LabelSets, rows: TestRows, row: int) -> dict[str, Any]:
    nearest = int(np.abs(given.probabilities[row] - given.thresholds).argmin())
    decided = np.where(given.predicted[row], given.probabilities[row], 1 - given.probabilities[row])
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:SHOWN_CHARACTERS],
        "true": joined(rows.label_names, given.true[row]),
        "predicted": joined(rows.label_names, given.predicted[row]),
        "probability": float(decided.min()),
        "runner_up": rows.label_names[nearest],
        "runner_up_probability": float(given.probabilities[row, nearest]),
    }


def joined(names: list[str], chosen: Bools) -> str:
    """A set of labels in words."""
    return ", ".join(name for name, is_in in zip(names, chosen, strict=True) if is_in) or NONE
