"""How the four shapes of answers differ: metrics, the one that counts, the paired test."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.evaluation.rows import Given
from engine.evaluation.schema import KindName
from engine.metrics import classification, generation, labelling, regression
from engine.metrics.measures import Measure
from engine.metrics.paired import Significance, compare_by, compare_right, compare_rows
from engine.metrics.resampling import ratio
from engine.metrics.shapes import Answers, Floats, Generations, Ints, LabelSets, Numbers


@dataclass(frozen=True)
class Kind:
    """How answers of one shape are measured, cut into subsets and compared."""

    name: KindName
    headline: str  # The metric that the verdict is about.
    beside: tuple[str, ...]  # The metrics shown for contenders and slices.
    measure: Callable[[Any, Collection[str] | None], list[Measure]]
    take: Callable[[Any, Ints], Any]
    compare: Callable[[Any, Any], Significance]


def kind_of(given: Given) -> Kind:
    return KINDS[type(given)]


def headline_of(kind: Kind, measured: list[Measure]) -> str:
    """The metric the verdict is about; a model without loss is judged by its texts."""
    known = {one["name"] for one in measured if one["value"] is not None}
    return kind.headline if kind.headline in known or kind.name != "generation" else "rougeL"


def _only(measured: list[Measure], names: Collection[str] | None) -> list[Measure]:
    return [one for one in measured if names is None or one["name"] in names]


def _take_answers(given: Answers, rows: Ints) -> Answers:
    return Answers(given.true[rows], given.probabilities[rows])


def _take_sets(given: LabelSets, rows: Ints) -> LabelSets:
    return LabelSets(given.true[rows], given.probabilities[rows], given.thresholds)


def _take_numbers(given: Numbers, rows: Ints) -> Numbers:
    return Numbers(given.true[rows], given.predicted[rows])


def _take_texts(given: Generations, rows: Ints) -> Generations:
    return Generations(
        [given.references[row] for row in rows],
        [given.outputs[row] for row in rows],
        None if given.losses is None else given.losses[rows],
        None if given.tokens is None else given.tokens[rows],
    )


def _compare_answers(one: Answers, other: Answers) -> Significance:
    right, others = one.predicted == one.true, other.predicted == other.true
    return compare_right(right, others, "accuracy")


def _compare_sets(one: LabelSets, other: LabelSets) -> Significance:
    """Paired bootstrap of micro F1: counts of every row are added up and divided once."""
    own, theirs = (_set_counts(given) for given in (one, other))

    def difference(weights: Floats) -> Floats:
        return _micro_f1(weights, own) - _micro_f1(weights, theirs)

    return compare_by("micro_f1", len(one.true), difference)


def _set_counts(given: LabelSets) -> tuple[Floats, Floats]:
    said = given.predicted
    hits = (given.true & said).sum(axis=1).astype(np.float64)
    return 2 * hits, (given.true.sum(axis=1) + said.sum(axis=1)).astype(np.float64)


def _micro_f1(weights: Floats, counts: tuple[Floats, Floats]) -> Floats:
    return ratio(weights @ counts[0], weights @ counts[1])


def _compare_numbers(one: Numbers, other: Numbers) -> Significance:
    """Paired bootstrap of the root mean squared error; a negative difference is better."""
    own, theirs, rows = one.errors**2, other.errors**2, len(one.true)

    def difference(weights: Floats) -> Floats:
        gap: Floats = np.sqrt(weights @ own / rows) - np.sqrt(weights @ theirs / rows)
        return gap

    return compare_by("rmse", rows, difference)


def _compare_texts(one: Generations, other: Generations) -> Significance:
    """Paired bootstrap of the loss of a token; of ROUGE-L where a loss is not known."""
    if one.losses is None or other.losses is None or one.tokens is None or other.tokens is None:
        own, theirs = (generation.row_scores(given)["rougeL"] for given in (one, other))
        return compare_rows(own, theirs, "rougeL")
    tokens, others = one.tokens, other.tokens
    losses, their_losses = one.losses, other.losses

    def difference(weights: Floats) -> Floats:
        own = ratio(weights @ losses, weights @ tokens)
        return own - ratio(weights @ their_losses, weights @ others)

    return compare_by("loss", len(losses), difference)


KINDS: dict[type, Kind] = {
    Answers: Kind(
        "classification",
        "accuracy",
        ("accuracy", "macro_f1", "log_loss"),
        lambda given, names: classification.measure(given, names=names),
        _take_answers,
        _compare_answers,
    ),
    LabelSets: Kind(
        "multilabel",
        "micro_f1",
        ("micro_f1", "macro_f1", "subset_accuracy"),
        lambda given, names: _only(labelling.measure(given), names),
        _take_sets,
        _compare_sets,
    ),
    Numbers: Kind(
        "regression",
        "rmse",
        ("rmse", "mae", "r2"),
        lambda given, names: _only(regression.measure(given), names),
        _take_numbers,
        _compare_numbers,
    ),
    Generations: Kind(
        "generation",
        "loss",
        ("loss", "rougeL", "exact_match"),
        lambda given, names: _only(generation.measure(given), names),
        _take_texts,
        _compare_texts,
    ),
}
