"""Cross-validation of a text job: as many more models, each tested on rows it never saw."""

from dataclasses import replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from engine.data.near_duplicates import group_texts
from engine.events import Reporter
from engine.progress import ProgressTracker
from engine.stop_signal import StopSignal
from engine.tasks import CrossValidation, FoldMetric
from engine.tasks.shared import Rows
from engine.tasks.text.fit import FittedTexts
from engine.tasks.text.prepare import PreparedTexts
from engine.tasks.text.refit import fit_again, of_fold


def cross_validate(
    prepared: PreparedTexts,
    trained: FittedTexts,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> list[dict[str, float]]:
    """Metrics of each fold, over the training and validation rows; the test rows stay untouched.

    Fold models stop at the planned epochs: no rows are left to choose an earlier one by.
    """
    count = prepared.spec.hyperparameters.folds
    if not count:
        return []
    progress.start_phase("cross-validating")
    folds = []
    for number, (train, held_out) in enumerate(_split_folds(prepared, count)):
        stop.raise_if_requested()
        folds.append(_evaluate_fold(prepared, trained, train, held_out, number))
        progress.advance((number + 1) / count)
    name = prepared.prediction_head.score.name.removeprefix("validation_")
    values = [fold[name] for fold in folds]
    report.info(
        f"{count}-fold cross-validation: {name.replace('_', ' ')} {np.mean(values):.4g}"
        f" ± {np.std(values, ddof=1):.2g}"
    )
    return folds


def summarize_folds(folds: list[dict[str, float]]) -> CrossValidation:
    """Mean and sample deviation of every metric over the folds."""
    metrics = {}
    for name in folds[0]:
        values = [fold[name] for fold in folds]
        mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
        metrics[name] = FoldMetric(mean=mean, deviation=deviation, values=values)
    return CrossValidation(
        folds=len(folds),
        method="stratified folds, equal texts kept together; mean and sample deviation",
        metrics=metrics,
    )


def _split_folds(prepared: PreparedTexts, count: int) -> list[tuple[Rows, Rows]]:
    """Training and held-out rows of each fold."""
    rows = np.sort(np.concatenate([prepared.split.train, prepared.split.validation]))
    strata = np.asarray(prepared.examples.strata)[rows]
    groups = np.zeros(len(rows), dtype=np.int64)
    same = group_texts([prepared.examples.texts[row] for row in rows]).groups
    for number, members in enumerate(same):
        groups[members] = number
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=prepared.spec.split.seed)
    return [
        (rows[train], rows[held_out])
        for train, held_out in splitter.split(rows, strata, groups)
        if len(held_out)
    ]


def _evaluate_fold(
    prepared: PreparedTexts,
    trained: FittedTexts,
    train: Rows,
    held_out: Rows,
    number: int,
) -> dict[str, float]:
    parts = replace(prepared.split, train=train, validation=held_out[:0], test=held_out)
    again = of_fold(prepared, trained, parts)
    outputs = fit_again(again, trained, trained.method, number)
    metrics = again.prediction_head.validation(outputs, held_out)
    return {name.removeprefix("validation_"): value for name, value in metrics.items()}
