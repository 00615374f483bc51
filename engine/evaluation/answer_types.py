"""How the four types of predictions differ: metrics, the main one, the paired test."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.evaluation.rows import ModelPredictions
from engine.evaluation.schema import AnswerTypeName
from engine.metrics import classification, generation, labelling, regression
from engine.metrics.measures import Measure
from engine.metrics.paired import (
    Significance,
    bootstrap_difference,
    bootstrap_row_scores,
    mcnemar_test_of_correctness,
)
from engine.metrics.resampling import safe_divide
from engine.metrics.shapes import (
    Floats,
    GenerationPredictions,
    Ints,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)

DOMINANT_SHARE = 0.8


@dataclass(frozen=True)
class AnswerType:
    """How predictions of one type are measured, cut into subsets and compared."""

    name: AnswerTypeName
    main_metric: str  # The metric that the verdict is about.
    summary_metrics: tuple[str, ...]  # The metrics shown for contenders and slices.
    measure: Callable[[Any, Collection[str] | None], list[Measure]]
    select_rows: Callable[[Any, Ints], Any]
    compare: Callable[[Any, Any], Significance]


def get_answer_type(predictions: ModelPredictions) -> AnswerType:
    return ANSWER_TYPES[type(predictions)]


def is_dominated(predictions: ModelPredictions) -> bool:
    """Whether one label has so many rows that always answering it looks good."""
    if not isinstance(predictions, MulticlassPredictions) or not len(predictions.true):
        return False
    most = int(np.bincount(predictions.true).max())
    return DOMINANT_SHARE * len(predictions.true) <= most < len(predictions.true)


def get_main_metric(kind: AnswerType, predictions: ModelPredictions | None = None) -> str:
    """The metric that the verdict is about: log loss where one label dominates, for accuracy says
    little there."""
    if predictions is not None and is_dominated(predictions):
        return "log_loss"
    return kind.main_metric


def _filter_measures(measured: list[Measure], names: Collection[str] | None) -> list[Measure]:
    return [measure for measure in measured if names is None or measure["name"] in names]


def _select_multiclass(predictions: MulticlassPredictions, rows: Ints) -> MulticlassPredictions:
    return replace(
        predictions, true=predictions.true[rows], probabilities=predictions.probabilities[rows]
    )


def _select_multilabel(predictions: MultilabelPredictions, rows: Ints) -> MultilabelPredictions:
    thresholds = predictions.thresholds
    return replace(
        predictions,
        true=predictions.true[rows],
        probabilities=predictions.probabilities[rows],
        thresholds=thresholds[rows] if thresholds.ndim > 1 else thresholds,
    )


def _select_regression(predictions: RegressionPredictions, rows: Ints) -> RegressionPredictions:
    return replace(predictions, true=predictions.true[rows], predicted=predictions.predicted[rows])


def _select_generation(predictions: GenerationPredictions, rows: Ints) -> GenerationPredictions:
    return GenerationPredictions(
        [predictions.references[row] for row in rows],
        [predictions.outputs[row] for row in rows],
        None if predictions.losses is None else predictions.losses[rows],
        None if predictions.tokens is None else predictions.tokens[rows],
    )


def _compare_multiclass(one: MulticlassPredictions, other: MulticlassPredictions) -> Significance:
    if is_dominated(one):
        return bootstrap_row_scores(
            classification.row_losses(one),
            classification.row_losses(other),
            "log_loss",
            one.repeats,
        )
    right, other_right = one.predicted == one.true, other.predicted == other.true
    if one.repeats:
        scores = right.astype(np.float64), other_right.astype(np.float64)
        return bootstrap_row_scores(*scores, "accuracy", one.repeats)
    return mcnemar_test_of_correctness(right, other_right, "accuracy")


def _compare_multilabel(one: MultilabelPredictions, other: MultilabelPredictions) -> Significance:
    """Paired bootstrap of micro F1: the counts of all rows are summed and divided once."""

    def micro_f1(predictions: MultilabelPredictions, weights: Floats) -> Floats:
        true, predicted = predictions.true, predictions.predicted
        hits = (true & predicted).sum(axis=1, dtype=np.float64)
        total = (true.sum(axis=1) + predicted.sum(axis=1)).astype(np.float64)
        return safe_divide(weights @ (2 * hits), weights @ total)

    return bootstrap_difference(
        "micro_f1",
        len(one.true),
        lambda weights: micro_f1(one, weights) - micro_f1(other, weights),
        one.repeats,
    )


def _compare_regression(one: RegressionPredictions, other: RegressionPredictions) -> Significance:
    """Paired bootstrap of the root mean squared error; a negative difference is better."""
    own, theirs, rows = one.errors**2, other.errors**2, len(one.true)

    def difference(weights: Floats) -> Floats:
        gap: Floats = np.sqrt(weights @ own / rows) - np.sqrt(weights @ theirs / rows)
        return gap

    return bootstrap_difference("rmse", rows, difference, one.repeats)


def _compare_generation(one: GenerationPredictions, other: GenerationPredictions) -> Significance:
    """Paired bootstrap of ROUGE-L: of the answers, which a lookup gives too. A loss would favour
    whoever knows the template."""
    own, theirs = (generation.row_scores(side)["rougeL"] for side in (one, other))
    return bootstrap_row_scores(own, theirs, "rougeL")


ANSWER_TYPES: dict[type, AnswerType] = {
    MulticlassPredictions: AnswerType(
        "classification",
        "accuracy",
        ("accuracy", "macro_f1", "log_loss"),
        lambda predictions, names: classification.measure(predictions, names=names),
        _select_multiclass,
        _compare_multiclass,
    ),
    MultilabelPredictions: AnswerType(
        "multilabel",
        "micro_f1",
        ("micro_f1", "macro_f1", "subset_accuracy"),
        lambda predictions, names: _filter_measures(labelling.measure(predictions), names),
        _select_multilabel,
        _compare_multilabel,
    ),
    RegressionPredictions: AnswerType(
        "regression",
        "rmse",
        ("rmse", "mae", "r2"),
        lambda predictions, names: _filter_measures(regression.measure(predictions), names),
        _select_regression,
        _compare_regression,
    ),
    GenerationPredictions: AnswerType(
        "generation",
        "rougeL",
        ("loss", "rougeL", "exact_match"),
        lambda predictions, names: _filter_measures(generation.measure(predictions), names),
        _select_generation,
        _compare_generation,
    ),
}
