"""What is measured, and how: each number names its method and library, with an interval.

Point values come from scikit-learn, scipy, sacreBLEU and rouge-score. Intervals resample rows with
the same formulas over weights, vectorised in numpy; tests hold the two equal. Importing this
package loads numpy only: pages compare models without scikit-learn.
"""

from engine.metrics.calibration import calibration_bins, calibration_error
from engine.metrics.classification import measure, per_class, row_losses
from engine.metrics.counting import accuracy, averages
from engine.metrics.paired import compare, compare_rows
from engine.metrics.shapes import (
    Answers,
    Floats,
    Generations,
    Ints,
    LabelSets,
    Numbers,
    answers,
    label_sets,
    numbers,
)

__all__ = [
    "Answers",
    "Floats",
    "Generations",
    "Ints",
    "LabelSets",
    "Numbers",
    "accuracy",
    "answers",
    "averages",
    "calibration_bins",
    "calibration_error",
    "compare",
    "compare_rows",
    "label_sets",
    "measure",
    "numbers",
    "per_class",
    "row_losses",
]
