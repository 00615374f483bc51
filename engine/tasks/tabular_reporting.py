"""What a table model's report says beyond its answers: robustness, and what it looks at."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine import robustness
from engine.evaluation import Given
from engine.evaluation.kinds import kind_of
from engine.explaining import column_importance
from engine.metrics import Answers
from engine.metrics.shapes import Numbers
from engine.serving.tabular import TabularModel
from engine.tasks.tabular_preparation import Prepared

Columns = dict[str, list[Any]]
SMALLEST_SHARE = 1e-12


def further_checks(
    prepared: Prepared, model: TabularModel, given: Given, report: dict[str, Any]
) -> dict[str, Any]:
    """Parts to add to the report; the served file answers the changed tables."""
    test = prepared.split.test
    sample = robustness.sample_rows(len(test), prepared.spec.split.seed)
    rows, before = test[sample], kind_of(given).take(given, sample)

    def answer(table: Columns) -> Given:
        return prepared.given(rows, model.predict(model.encoder.encode(table)))

    table = _columns(prepared, rows)
    importance = column_importance(lambda changed: _loss(answer(changed)), table)
    return {
        "robustness": dict(robustness.tables_under_change(before, table, answer)),
        "explanations": {
            "columns": importance["columns"],
            "importance_method": importance["method"],
        },
    }


def _columns(prepared: Prepared, rows: npt.NDArray[np.int64]) -> Columns:
    chosen = prepared.table.columns.take(rows)
    return {one.name: chosen[one.name].to_pylist() for one in prepared.encoder.features}


def _loss(given: Given) -> float:
    """Mean cross-entropy, or the square root of the mean squared error."""
    if isinstance(given, Answers):
        right = given.probabilities[np.arange(len(given.true)), given.true]
        return float(-np.log(np.maximum(right, SMALLEST_SHARE)).mean())
    assert isinstance(given, Numbers)
    return float(np.sqrt(np.mean(given.errors**2)))
