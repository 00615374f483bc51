"""Figures of few test rows, from more rows: the model is fitted again to other parts of the data,
and each row is answered by a model that has not seen it (Stone 1974).

The contenders are fitted to the same rows, and the job's own answers to its test rows are one of
the parts. What validation rows chose for the job, such as the best contender, its settings and when
to stop, holds for the folds as well; these rows are in no figure, so that no choice flatters one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.data.splitting import Split
from engine.estimate.cross_validation import (
    MAX_REPEATS,
    MAX_SECONDS,
    MIN_TEST_ROWS,
    count_folds,
    is_worth_repeating,
)
from engine.evaluation.answer_types import get_answer_type
from engine.evaluation.folds import draw_folds
from engine.evaluation.rows import Contender, ModelPredictions, TestRows
from engine.evaluation.schema import CrossValidatedRows
from engine.metrics.shapes import Ints, MultilabelPredictions, RegressionPredictions
from engine.stop_signal import StopSignal

Answers = tuple[ModelPredictions, list[Contender]]


@dataclass(frozen=True)
class Refit:
    """How a job fits its model again, in the same way, to other rows of its data."""

    split: Split  # The job's, before it left out rows that it did not want to learn from.
    split_column: str | None  # That says which rows are the test, so that others are not.
    seed: int
    seconds: float  # Of one fit with all contenders, on the reference machine.
    answer: Callable[[Split, int], Answers]  # To the test rows of the fold of this number.
    describe_rows: Callable[[Ints], TestRows]


@dataclass(frozen=True)
class CrossValidated:
    """Answers to `rows`, of which the model's own test rows are a part; `predictions` and
    `contenders` hold them once for each repeat, `first` once."""

    predictions: ModelPredictions
    contenders: list[Contender]
    first: ModelPredictions
    rows: TestRows
    summary: CrossValidatedRows


@dataclass
class _Part:
    """Answers to some rows, by the job's model or a fold's."""

    rows: Ints
    predictions: ModelPredictions
    contenders: dict[str, Contender]


def cross_validate(
    refit: Refit,
    predictions: ModelPredictions,
    contenders: Sequence[Contender],
    advance: Callable[[float], None],
    stop: StopSignal,
) -> CrossValidated | None:
    """The job's own answers to its test rows and those of the folds; None where nothing can or need
    be added to them."""
    planned = plan_folds(refit)
    if not planned:
        return None
    own = _Part(refit.split.test, predictions, {one.id: one for one in contenders})
    repetitions, number, count = [], 0, sum(map(len, planned))
    for repetition, folds in enumerate(planned):
        parts = [own] if not repetition else []
        for fold in folds:
            stop.raise_if_requested()
            answers, rivals = refit.answer(fold, number)
            parts.append(_Part(fold.test, answers, {one.id: one for one in rivals}))
            number += 1
            advance(number / count)
        repetitions.append(_join_parts(parts))
    return _join_repetitions(refit, repetitions, fits=count)


def plan_folds(refit: Refit) -> list[list[Split]]:
    """The folds of each repetition: as many as make enough rows, or all rows and those again."""
    split, seconds = refit.split, refit.seconds
    if len(split.test) >= MIN_TEST_ROWS or refit.split_column is not None:
        return []
    folds = draw_folds(split, refit.seed)
    sizes = [len(fold.test) for fold in folds]
    chosen = folds[: count_folds(len(split.test), sizes, seconds)]
    planned, rows = [chosen] if chosen else [], len(split.test) + sum(sizes)
    while planned and len(chosen) == len(folds) and len(planned) < MAX_REPEATS:
        more = draw_folds(split, refit.seed, repetition=len(planned))
        fits = sum(map(len, planned)) + len(more)
        if not more or not is_worth_repeating(len(planned) * rows, fits, seconds):
            break
        planned.append(more)
    return planned


def explain_few_rows(refit: Refit | None, test_rows: int) -> str:
    """Why figures of few test rows rest on these alone; empty where there are enough of them."""
    if test_rows >= MIN_TEST_ROWS or refit is None:
        return ""
    start = (
        f"The figures rest on {'1 test row' if test_rows == 1 else f'{test_rows:,} test rows'}"
        " alone"
    )
    if refit.split_column is not None:
        return f"{start}, for column {refit.split_column!r} says which rows are the test."
    if refit.seconds > MAX_SECONDS:
        return f"{start}: to fit this model again to other parts of the data would take too long."
    return f"{start}: the others cannot be divided into further tests."


def _join_parts(parts: list[_Part]) -> _Part:
    """All rows of one repetition in rising order, with the contenders that every part has."""
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    ids = [id for id in parts[0].contenders if all(id in part.contenders for part in parts)]
    contenders = {
        id: replace(
            parts[0].contenders[id],
            predictions=_join([part.contenders[id].predictions for part in parts], order),
        )
        for id in ids
    }
    return _Part(rows[order], _join([part.predictions for part in parts], order), contenders)


def _join_repetitions(refit: Refit, parts: list[_Part], fits: int) -> CrossValidated:
    """The rows that every repetition has tested, in blocks of equal order."""
    rows = parts[0].rows
    for part in parts[1:]:
        rows = np.intersect1d(rows, part.rows)
    kept = [np.flatnonzero(np.isin(part.rows, rows)) for part in parts]

    def stack(answers: list[ModelPredictions]) -> ModelPredictions:
        select = get_answer_type(answers[0]).select_rows
        blocks = [select(one, places) for one, places in zip(answers, kept, strict=True)]
        return _join(blocks, repeats=len(parts))

    predictions = stack([part.predictions for part in parts])
    first = get_answer_type(predictions).select_rows(parts[0].predictions, kept[0])
    return CrossValidated(
        predictions,
        [
            replace(one, predictions=stack([part.contenders[id].predictions for part in parts]))
            for id, one in parts[0].contenders.items()
        ],
        _join([first], repeats=1),
        refit.describe_rows(rows),
        _summarize(refit, len(rows), repeats=len(parts), fits=fits),
    )


def _join(
    parts: list[ModelPredictions], order: Ints | None = None, repeats: int = 0
) -> ModelPredictions:
    """Predictions of one type one after the other, and then in this order."""
    kind: Any = type(parts[0])
    name = "predicted" if kind is RegressionPredictions else "probabilities"
    columns = [[getattr(part, column) for part in parts] for column in ("true", name)]
    if kind is MultilabelPredictions:  # Each part's model has thresholds of its own.
        shapes = zip(columns[0], parts, strict=True)
        columns.append(
            [np.broadcast_to(part.thresholds, true.shape) for true, part in shapes]  # type: ignore[union-attr]
        )
    chosen = slice(None) if order is None else order
    joined: ModelPredictions = kind(
        *(np.concatenate(column)[chosen] for column in columns), repeats
    )
    return joined


def _summarize(refit: Refit, rows: int, *, repeats: int, fits: int) -> CrossValidatedRows:
    test_rows = len(refit.split.test)
    words = "on other rows than it was tested on"
    if refit.split.moments is not None:
        words = "on earlier rows than it was tested on"
    elif repeats > 1:
        words = f"on other rows than it was tested on, {repeats} times over with other parts"
    return {
        "rows": rows,
        "test_rows": test_rows,
        "fits": fits,
        "repeats": repeats,
        "sentence": (
            f"The figures rest on {rows:,} rows, since "
            f"{'1 test row alone says' if test_rows == 1 else f'{test_rows:,} test rows alone say'}"
            " little."
            f" {fits:,} further models were made in the same way, each {words} (cross-validation);"
            " the model itself answered the test rows."
        ),
    }
