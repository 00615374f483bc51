"""The metrics: each value has an interval and names its method and library.

Point values come from scikit-learn, scipy, sacreBLEU and rouge-score. Intervals resample rows with
the same formulas over row weights, vectorised in numpy; tests compare the two. Importing this
package loads numpy only: the web process compares models without scikit-learn.
"""

from engine.metrics.calibration import calibration_bins, calibration_error
from engine.metrics.classification import measure, per_class, row_losses
from engine.metrics.counting import accuracy, multiclass_scores
from engine.metrics.paired import bootstrap_row_scores, mcnemar_test
from engine.metrics.shapes import (
    Floats,
    GenerationPredictions,
    Ints,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
    make_multiclass_predictions,
    make_multilabel_predictions,
    make_regression_predictions,
)

__all__ = [
    "MulticlassPredictions",
    "Floats",
    "GenerationPredictions",
    "Ints",
    "MultilabelPredictions",
    "RegressionPredictions",
    "accuracy",
    "make_multiclass_predictions",
    "multiclass_scores",
    "calibration_bins",
    "calibration_error",
    "mcnemar_test",
    "bootstrap_row_scores",
    "make_multilabel_predictions",
    "measure",
    "make_regression_predictions",
    "per_class",
    "row_losses",
]
