"""The sections of a table model's report that need the model: robustness, and what it looks at."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.analysis import robustness
from engine.analysis.attributions import permutation_importance
from engine.evaluation import ModelPredictions, Report
from engine.evaluation.answer_types import get_answer_type
from engine.metrics import MulticlassPredictions
from engine.metrics.shapes import RegressionPredictions
from engine.serving.tabular import TabularModel
from engine.tasks import ExtraSections
from engine.tasks.tabular.prepare import PreparedTable

MIN_PROBABILITY = 1e-12


def build_extra_sections(
    prepared: PreparedTable, model: TabularModel, predictions: ModelPredictions, report: Report
) -> ExtraSections:
    """The served file predicts the perturbed tables."""
    test = prepared.split.test
    sample = robustness.sample_test_rows(len(test), prepared.spec.split.seed)
    rows, before = test[sample], get_answer_type(predictions).select_rows(predictions, sample)

    def predict(table: Mapping[str, Sequence[Any]]) -> ModelPredictions:
        return prepared.build_predictions(rows, model.predict(model.encoder.encode(table)))

    cells = prepared.table.columns.take(rows)
    table = {one.name: cells[one.name].to_pylist() for one in prepared.encoder.features}
    importance = permutation_importance(lambda changed: _loss(predict(changed)), table)
    return {
        "robustness": dict(robustness.evaluate_table_robustness(before, table, predict)),
        "explanations": {
            "columns": importance["columns"],
            "importance_method": importance["method"],
        },
    }


def _loss(predictions: ModelPredictions) -> float:
    """Mean cross-entropy, or the square root of the mean squared error."""
    if isinstance(predictions, MulticlassPredictions):
        true = predictions.probabilities[np.arange(len(predictions.true)), predictions.true]
        return float(-np.log(np.maximum(true, MIN_PROBABILITY)).mean())
    assert isinstance(predictions, RegressionPredictions)
    return float(np.sqrt(np.mean(predictions.errors**2)))
