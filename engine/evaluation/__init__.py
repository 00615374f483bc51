"""The report on the untouched test rows: how good the model is, compared with what, where it fails.

`build_report` serves every task: it takes the predictions as one of the four types of
`engine.metrics.shapes`, the rows, and the contenders' predictions of the same type.
`predictions_table` stores the same predictions, from which the report can be computed again.
"""

from engine.evaluation.columns import read_slice_columns
from engine.evaluation.cross_validation import CrossValidated, Refit, cross_validate
from engine.evaluation.predictions import (
    PREDICTIONS_FILE,
    StoredPredictions,
    predictions_table,
    read_predictions,
    write_predictions,
)
from engine.evaluation.report_builder import build_report
from engine.evaluation.rows import Contender, ModelPredictions, TestRows
from engine.evaluation.schema import REPORT_FORMAT, Report

__all__ = [
    "PREDICTIONS_FILE",
    "REPORT_FORMAT",
    "Contender",
    "CrossValidated",
    "Refit",
    "cross_validate",
    "ModelPredictions",
    "StoredPredictions",
    "Report",
    "TestRows",
    "build_report",
    "read_slice_columns",
    "predictions_table",
    "read_predictions",
    "write_predictions",
]
