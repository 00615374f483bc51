"""The report on the untouched test rows: how good, better than what, and where it fails.

One entry for every task: hand `evaluate` the answers in their shape (`engine.metrics.answers`,
`label_sets`, `numbers` or `Generations`), the rows, and the contenders' answers in the same shape.
`predictions_table` holds the same answers, from which everything here can be computed again.
"""

from engine.evaluation.building import evaluate
from engine.evaluation.columns import other_columns
from engine.evaluation.predictions import (
    Predictions,
    predictions_table,
    read_predictions,
    write_predictions,
)
from engine.evaluation.rows import Contender, Given, TestRows
from engine.evaluation.schema import FORMAT, Report

__all__ = [
    "FORMAT",
    "Contender",
    "Given",
    "Predictions",
    "Report",
    "TestRows",
    "evaluate",
    "other_columns",
    "predictions_table",
    "read_predictions",
    "write_predictions",
]
