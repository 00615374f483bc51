"""How well a cheap model answers rows that it has not seen, by folds of all rows it may learn from.

A job's validation rows are few, mostly a twentieth of its rows. By 75 of them the linear model on
characters was often kept for Chinese opinions: means of six draws of 1,500 rows were .791 right, by
folds .809, as by the frozen encoder alone; with 1,200 tickets .808, by folds .813. Figures of few
test rows rest on the rows of these folds as well: to be the best of two or three models flatters a
model by less than a point, which their interval has room for.
"""

from collections.abc import Callable

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from engine.prediction_heads.interface import Outputs, Rows
from engine.tasks.text.prepare import PreparedTexts

FOLDS = 3
MAX_COST = 50_000  # Rows times outputs: with more there are hundreds of validation rows.
Answer = Callable[[Rows], Outputs]


def measure_by_folds(prepared: PreparedTexts, fit: Callable[[Rows], Answer]) -> float | None:
    """The head's quality of answers to all these rows, each by a model that `fit` made of the other
    folds; None where rows are in order of time, too many, or thresholds have to be chosen."""
    split, head, rows = prepared.split, prepared.prediction_head, prepared.learnt_rows
    is_too_much = len(rows) * head.outputs > MAX_COST or len(rows) < 2 * FOLDS
    if is_too_much or split.moments is not None or head.has_thresholds:
        return None
    groups, strata = split.groups[rows], split.strata[rows]
    if min(len(np.unique(groups)), int(np.bincount(strata).max())) < FOLDS:
        return None
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=prepared.spec.split.seed)
    folds = list(splitter.split(rows, strata, groups))
    if any(len(np.unique(strata[known])) < min(2, len(np.unique(strata))) for known, _ in folds):
        return None
    outputs = np.zeros((len(rows), head.outputs), dtype=np.float32)
    for known, held_out in folds:
        outputs[held_out] = fit(rows[known])(rows[held_out])
    return head.quality(outputs, rows)
