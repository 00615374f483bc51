"""The parts of a report on labels: confusion, curves, calibration, example rows."""

from collections.abc import Callable

import numpy as np

from engine.evaluation.rows import TestRows
from engine.evaluation.schema import AnswerTypeParts, Confusion, LabelCurve, LabelExample
from engine.metrics import classification, labelling, ranking
from engine.metrics.calibration import calibration_bins, reliability_bins
from engine.metrics.shapes import Bools, Floats, MulticlassPredictions, MultilabelPredictions

MAX_MATRIX_LABELS = 50
MAX_DISPLAY_ROWS = 10
MAX_DISPLAY_PAIRS = 30
MAX_DISPLAY_CURVES = 8
MAX_DISPLAY_CHARACTERS = 2000
NO_LABELS_TEXT = "(none)"


def build_multiclass_parts(predictions: MulticlassPredictions, rows: TestRows) -> AnswerTypeParts:
    names = rows.label_names
    positives = predictions.true[:, None] == np.arange(len(names))
    return {
        "per_class": classification.per_class(predictions, names),
        "confusion": compute_confusion(predictions, names),
        "curves": compute_curves(positives, predictions.probabilities, names),
        "calibration": {"bins": calibration_bins(predictions)},
        "examples": _select_examples(predictions, rows),
    }


def build_multilabel_parts(predictions: MultilabelPredictions, rows: TestRows) -> AnswerTypeParts:
    return {
        "per_class": labelling.per_class(predictions, rows.label_names),
        "curves": compute_curves(
            predictions.true, predictions.probabilities, rows.label_names, is_binary=False
        ),
        "calibration": {"bins": reliability_bins(*labelling.flatten_decisions(predictions))},
        "examples": _select_multilabel_examples(predictions, rows),
    }


def compute_confusion(predictions: MulticlassPredictions, names: list[str]) -> Confusion:
    """The whole matrix (true by row) up to 50 labels; the most confused pairs always."""
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (predictions.true, predictions.predicted), 1)
    wrong = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_DISPLAY_PAIRS]
    places = [divmod(int(place), len(names)) for place in order]
    return {
        "labels": names,
        "matrix": matrix.tolist() if len(names) <= MAX_MATRIX_LABELS else None,
        "pairs": [
            {"true": names[true], "predicted": names[other], "count": int(wrong[true, other])}
            for true, other in places
            if wrong[true, other]
        ],
    }


def compute_curves(
    positives: Bools, scores: Floats, names: list[str], *, is_binary: bool = True
) -> list[LabelCurve]:
    """ROC and PR curves of each label against the rest, or of the weakest labels if there are many.

    Of two labels that exclude each other only the second's: the first's is its mirror image.
    """
    once = np.ones((1, len(scores)))
    areas: list[tuple[float, float, int]] = []  # ROC AUC, average precision, label.
    for label in range(1 if is_binary and len(names) == 2 else 0, len(names)):
        ranked = ranking.rank_scores(positives[:, label], scores[:, label])
        if ranked.is_defined:
            auc, precision = ranking.areas_under_curves(ranked, once)
            areas.append((float(auc[0]), float(precision[0]), label))
    weakest = sorted(areas, key=lambda entry: entry[0])[:MAX_DISPLAY_CURVES]
    curves: list[LabelCurve] = []
    for roc_auc, average_precision, label in weakest:
        points = ranking.compute_curve_points(positives[:, label], scores[:, label])
        curves.append(
            {
                "label": names[label],
                "positives": int(positives[:, label].sum()),
                "roc_auc": roc_auc,
                "average_precision": average_precision,
                "roc": points["roc"],
                "pr": points["pr"],
            }
        )
    return curves


def _select_examples(
    predictions: MulticlassPredictions, rows: TestRows
) -> dict[str, list[LabelExample]]:
    confidence = predictions.confidence
    two_likeliest = np.sort(predictions.probabilities, axis=1)[:, -2:]
    return _choose_rows(
        predictions.true == predictions.predicted,
        certainty=confidence,
        surprise=confidence,
        doubt=two_likeliest[:, 0] - two_likeliest[:, 1],
        show=lambda row: _format_example(predictions, rows, row),
    )


def _choose_rows(
    correct: Bools,
    *,
    certainty: Floats,
    surprise: Floats,
    doubt: Floats,
    show: Callable[[int], LabelExample],
) -> dict[str, list[LabelExample]]:
    """best: correct and certain. worst: wrong and surprising. confused: those in most doubt.
    random: drawn evenly, always the same ones."""

    def first(order: Floats, rows: Bools) -> list[LabelExample]:
        chosen = [int(row) for row in np.argsort(-order, kind="stable") if rows[row]]
        return [show(row) for row in chosen[:MAX_DISPLAY_ROWS]]

    drawn = np.random.default_rng(0).permutation(len(correct))[:MAX_DISPLAY_ROWS]
    return {
        "best": first(certainty, correct),
        "worst": first(surprise, ~correct),
        "confused": first(doubt, np.ones_like(correct)),
        "random": [show(row) for row in sorted(drawn.tolist())],
    }


def _format_example(predictions: MulticlassPredictions, rows: TestRows, row: int) -> LabelExample:
    second = int(np.argsort(predictions.probabilities[row])[-2])
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:MAX_DISPLAY_CHARACTERS],
        "true": rows.label_names[predictions.true[row]],
        "predicted": rows.label_names[predictions.predicted[row]],
        "probability": float(predictions.confidence[row]),
        "runner_up": rows.label_names[second],
        "runner_up_probability": float(predictions.probabilities[row, second]),
    }


def _select_multilabel_examples(
    predictions: MultilabelPredictions, rows: TestRows
) -> dict[str, list[LabelExample]]:
    """By how surprising the true labels are, and how near a threshold a probability is."""
    chance = np.where(predictions.true, predictions.probabilities, 1 - predictions.probabilities)
    surprise = -np.log(np.clip(chance, 1e-15, 1)).mean(axis=1)
    distance = np.abs(predictions.probabilities - predictions.thresholds).min(axis=1)
    return _choose_rows(
        (predictions.true == predictions.predicted).all(axis=1),
        certainty=-surprise,
        surprise=surprise,
        doubt=-distance,
        show=lambda row: _format_multilabel_example(predictions, rows, row),
    )


def _format_multilabel_example(
    predictions: MultilabelPredictions, rows: TestRows, row: int
) -> LabelExample:
    thresholds = np.broadcast_to(predictions.thresholds, predictions.true.shape)[row]
    nearest = int(np.abs(predictions.probabilities[row] - thresholds).argmin())
    decided = np.where(
        predictions.predicted[row],
        predictions.probabilities[row],
        1 - predictions.probabilities[row],
    )
    return {
        "row": rows.source_rows[row],
        "text": rows.texts[row][:MAX_DISPLAY_CHARACTERS],
        "true": join_label_names(rows.label_names, predictions.true[row]),
        "predicted": join_label_names(rows.label_names, predictions.predicted[row]),
        "probability": float(decided.min()),
        "runner_up": rows.label_names[nearest],
        "runner_up_probability": float(predictions.probabilities[row, nearest]),
    }


def join_label_names(names: list[str], chosen: Bools) -> str:
    """A set of labels as text."""
    present = [name for name, is_present in zip(names, chosen, strict=True) if is_present]
    return ", ".join(present) or NO_LABELS_TEXT
