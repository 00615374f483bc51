"""Compares two models on the same test rows: which is better and where they disagree. Numpy only.

Rows are matched by their number within one dataset version, or by their content across versions.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from typing_extensions import TypedDict

from engine.errors import EngineError
from engine.evaluation import ModelPredictions, StoredPredictions
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.classification_report import join_label_names
from engine.evaluation.schema import AnswerTypeName, Verdict
from engine.evaluation.verdict import decide_verdict
from engine.metrics.counting import LabelCounts, count_labels, multiclass_scores
from engine.metrics.measures import METRICS, Better
from engine.metrics.paired import Significance, bootstrap_difference
from engine.metrics.shapes import (
    Bools,
    Floats,
    GenerationPredictions,
    Ints,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)

MIN_SHARED_ROWS = 0.9  # Of both models' test rows, when the data's versions differ.
MAX_DISPLAY_ROWS = 50
MAX_DISPLAY_CHARACTERS = 1000
Answer = str | float


class MetricComparison(TypedDict):
    name: str
    title: str
    share: bool
    better: Better
    first: float | None
    second: float | None
    significance: Significance
    verdict: Verdict


class LabelComparison(TypedDict):
    label: str
    rows: int
    first: float  # F1.
    second: float
    difference: float


class Disagreement(TypedDict):
    row: int
    text: str
    true: Answer
    first: Answer
    second: Answer


class Disagreements(TypedDict):
    disagreements: list[Disagreement]
    disagreeing_rows: int
    counts: dict[str, int]


class Comparison(Disagreements):
    kind: AnswerTypeName
    rows: int
    sentence: str
    verdict: Verdict
    metrics: list[MetricComparison]
    per_class: list[LabelComparison]


class ModelsNotComparable(EngineError):
    """The two models were tested on different rows or labels; the sentence says what differs."""


def compare_predictions(
    one: StoredPredictions, other: StoredPredictions, *, same_data: bool
) -> Comparison:
    """The comparison as JSON: `difference` is the first less the second. Raises
    ModelsNotComparable."""
    _validate_same_answer_type(one, other)
    places = _match_rows(one, other, same_data=same_data)
    first, second = _align_predictions(one, other, places)
    kind = get_answer_type(first)
    main = kind.compare(first, second)
    return {
        "kind": kind.name,
        "rows": len(places[0]),
        "sentence": _format_sentence(main),
        "verdict": decide_verdict(main, METRICS[main["metric"]].better),
        "metrics": [
            _describe_metric_difference(significance, first, second)
            for significance in (main, *_compare_secondary_metrics(first, second))
        ],
        "per_class": _compare_per_class(first, second, one.rows.label_names),
        **_list_disagreements(first, second, one, places[0]),
    }


def _validate_same_answer_type(one: StoredPredictions, other: StoredPredictions) -> None:
    if type(one.predictions) is not type(other.predictions):
        raise ModelsNotComparable(
            "The two give different kinds of answers, such as a label and a number."
        )
    names = set(one.rows.label_names) ^ set(other.rows.label_names)
    if names:
        listed = ", ".join(sorted(names)[:5])
        raise ModelsNotComparable(f"The two do not know the same labels; these differ: {listed}.")


def _match_rows(
    one: StoredPredictions, other: StoredPredictions, *, same_data: bool
) -> tuple[Ints, Ints]:
    """Positions of the same rows in both."""
    left, right = (_row_keys(side, same_data=same_data) for side in (one, other))
    position = {key: place for place, key in enumerate(right)}
    pairs = [(place, position[key]) for place, key in enumerate(left) if key in position]
    share = len(pairs) / max(len(left), len(right), 1)
    if share < (1 if same_data else MIN_SHARED_ROWS):
        raise ModelsNotComparable(
            f"The two were tested on different rows: {len(pairs):,} in common, of {len(left):,} and"
            f" {len(right):,}. What one was tested on the other may have learnt from. Train both"
            " with the same split seed, shares and split column on the same data."
        )
    first, second = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    return first, second


def _row_keys(side: StoredPredictions, *, same_data: bool) -> list[tuple[str | int, int]]:
    """Row numbers, or across versions their content with a count, because texts may repeat."""
    if same_data:
        return [(row, 0) for row in side.rows.source_rows]
    count: Counter[str] = Counter()
    keys: list[tuple[str | int, int]] = []
    for key in side.keys:
        keys.append((key, count[key]))
        count[key] += 1
    return keys


def _align_predictions(
    one: StoredPredictions, other: StoredPredictions, places: tuple[Ints, Ints]
) -> tuple[ModelPredictions, ModelPredictions]:
    """Both models' predictions on the matched rows, in the first one's order of labels."""
    first = get_answer_type(one.predictions).select_rows(one.predictions, places[0])
    second = get_answer_type(other.predictions).select_rows(other.predictions, places[1])
    order = [other.rows.label_names.index(name) for name in one.rows.label_names]
    if isinstance(second, MulticlassPredictions):
        back = np.argsort(order)
        second = MulticlassPredictions(back[second.true], second.probabilities[:, order])
    elif isinstance(second, MultilabelPredictions):
        second = MultilabelPredictions(
            second.true[:, order], second.probabilities[:, order], second.thresholds[order]
        )
    if isinstance(first, GenerationPredictions) or isinstance(second, GenerationPredictions):
        is_equal = getattr(first, "references", None) == getattr(second, "references", None)
    else:
        is_equal = bool(np.array_equal(first.true, second.true))
    if not is_equal:
        raise ModelsNotComparable(
            "The true answers of some shared rows differ between the two versions."
        )
    return first, second


def _compare_secondary_metrics(
    first: ModelPredictions, second: ModelPredictions
) -> list[Significance]:
    """Besides the main metric, tested by paired bootstrap."""
    if isinstance(first, MulticlassPredictions) and isinstance(second, MulticlassPredictions):
        labels, rows = first.probabilities.shape[1], len(first.true)
        true, own, theirs = first.true, first.predicted, second.predicted

        def difference(weights: Floats) -> Floats:
            a, b = (count_labels(true, predicted, labels, weights) for predicted in (own, theirs))
            return a.macro(a.f1) - b.macro(b.f1)

        return [bootstrap_difference("macro_f1", rows, difference)]
    if isinstance(first, RegressionPredictions) and isinstance(second, RegressionPredictions):
        gaps = np.abs(first.errors) - np.abs(second.errors)
        return [bootstrap_difference("mae", len(gaps), lambda weights: weights @ gaps / len(gaps))]
    return []


def _describe_metric_difference(
    significance: Significance, first: ModelPredictions, second: ModelPredictions
) -> MetricComparison:
    metric = METRICS[significance["metric"]]
    return {
        "name": significance["metric"],
        "title": metric.title,
        "share": metric.share,
        "better": metric.better,
        "first": _compute_metric(significance["metric"], first),
        "second": _compute_metric(significance["metric"], second),
        "significance": significance,
        "verdict": decide_verdict(significance, metric.better),
    }


def _compute_metric(metric: str, predictions: ModelPredictions) -> float | None:
    if isinstance(predictions, MulticlassPredictions):
        scores = multiclass_scores(
            predictions.true, predictions.predicted, predictions.probabilities.shape[1]
        )
        return scores[metric]
    if isinstance(predictions, MultilabelPredictions):
        hits = 2 * (predictions.true & predictions.predicted).sum()
        total = predictions.true.sum() + predictions.predicted.sum()
        return float(hits / total) if total else 0.0
    if isinstance(predictions, RegressionPredictions):
        errors = np.abs(predictions.errors)
        return float(errors.mean() if metric == "mae" else np.sqrt((errors**2).mean()))
    if metric == "loss" and predictions.losses is not None and predictions.tokens is not None:
        return float(predictions.losses.sum() / predictions.tokens.sum())
    from engine.metrics.generation import row_scores

    return float(row_scores(predictions)["rougeL"].mean())


def _format_sentence(significance: Significance) -> str:
    metric = METRICS[significance["metric"]]
    verdict = decide_verdict(significance, metric.better)
    size = abs(significance["difference"])
    gap = f"{100 * size:.1f} points" if metric.share else f"{size:.3f}"
    title = metric.title.lower()
    value = significance["p_value"]
    p_value = "p < 0.001" if value < 0.001 else f"p = {value:.2g}"
    if verdict == "no_difference":
        return (
            f"No sure difference: {title} is {gap} apart, which may well be chance ({p_value})."
            " Take the smaller or quicker one."
        )
    which = "first" if verdict == "helped" else "second"
    return f"The {which} is better: {title} by {gap}, hardly by chance ({p_value})."


def _compare_per_class(
    first: ModelPredictions, second: ModelPredictions, names: Sequence[str]
) -> list[LabelComparison]:
    """F1 of each label in both, the largest change first."""
    sides = [_count_by_label(predictions, len(names)) for predictions in (first, second)]
    if sides[0] is None or sides[1] is None:
        return []
    scores, support = [side.f1[0] for side in sides if side], sides[0].support[0]
    labels: list[LabelComparison] = [
        {
            "label": name,
            "rows": int(support[place]),
            "first": float(scores[0][place]),
            "second": float(scores[1][place]),
            "difference": float(scores[0][place] - scores[1][place]),
        }
        for place, name in enumerate(names)
    ]
    return sorted(labels, key=lambda label: -abs(label["difference"]))


def _count_by_label(predictions: ModelPredictions, labels: int) -> LabelCounts | None:
    """Counts with every row once; None for predictions without labels."""
    if isinstance(predictions, MulticlassPredictions):
        once = np.ones((1, len(predictions.true)))
        return count_labels(predictions.true, predictions.predicted, labels, once)
    if isinstance(predictions, MultilabelPredictions):
        true, predicted = predictions.true, predictions.predicted
        hits, claimed, support = (
            cells.sum(axis=0, dtype=np.float64)[None]
            for cells in (true & predicted, predicted, true)
        )
        return LabelCounts(hits, claimed, support, float(len(true)))
    return None


def _list_disagreements(
    first: ModelPredictions, second: ModelPredictions, one: StoredPredictions, places: Ints
) -> Disagreements:
    """Rows that the two answer differently: counts, and the most informative ones to read."""
    order, counts = _rank_disagreements(first, second)
    listed: list[Disagreement] = []
    for row in order[:MAX_DISPLAY_ROWS]:
        true, own, theirs = _describe_answers(first, second, one.rows.label_names, row)
        listed.append(
            {
                "row": one.rows.source_rows[places[row]],
                "text": one.rows.texts[places[row]][:MAX_DISPLAY_CHARACTERS],
                "true": true,
                "first": own,
                "second": theirs,
            }
        )
    return {"disagreements": listed, "disagreeing_rows": len(order), "counts": counts}


def _rank_disagreements(
    first: ModelPredictions, second: ModelPredictions
) -> tuple[list[int], dict[str, int]]:
    if isinstance(first, RegressionPredictions) and isinstance(second, RegressionPredictions):
        gaps = np.abs(first.errors) - np.abs(second.errors)
        return np.argsort(-np.abs(gaps), kind="stable").tolist(), {}
    if isinstance(first, GenerationPredictions) and isinstance(second, GenerationPredictions):
        differ = [a != b for a, b in zip(first.outputs, second.outputs, strict=True)]
        return np.flatnonzero(differ).tolist(), {}
    assert isinstance(first, MulticlassPredictions | MultilabelPredictions)
    assert isinstance(second, MulticlassPredictions | MultilabelPredictions)
    own, theirs = (~_any_per_row(side.predicted != side.true) for side in (first, second))
    counts = {
        "both_right": int((own & theirs).sum()),
        "only_first_right": int((own & ~theirs).sum()),
        "only_second_right": int((~own & theirs).sum()),
        "both_wrong": int((~own & ~theirs).sum()),
    }
    differing = np.flatnonzero(_any_per_row(first.predicted != second.predicted))
    # Those that only one of the two has right come first.
    order = np.argsort(own[differing] == theirs[differing], kind="stable")
    return differing[order].tolist(), counts


def _any_per_row(cells: Bools) -> Bools:
    """(rows,) or (rows, labels) as (rows,)."""
    return cells if cells.ndim == 1 else np.asarray(cells.any(axis=1))


def _describe_answers(
    first: ModelPredictions, second: ModelPredictions, names: list[str], row: int
) -> list[Answer]:
    """The true answer of a row and the two models'."""
    if isinstance(first, RegressionPredictions) and isinstance(second, RegressionPredictions):
        return [float(side[row]) for side in (first.true, first.predicted, second.predicted)]
    if isinstance(first, GenerationPredictions) and isinstance(second, GenerationPredictions):
        return [side[row] for side in (first.references, first.outputs, second.outputs)]
    if isinstance(first, MultilabelPredictions) and isinstance(second, MultilabelPredictions):
        sets = (first.true, first.predicted, second.predicted)
        return [join_label_names(names, labels[row]) for labels in sets]
    assert isinstance(first, MulticlassPredictions)
    assert isinstance(second, MulticlassPredictions)
    return [names[side[row]] for side in (first.true, first.predicted, second.predicted)]
