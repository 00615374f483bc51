"""What a network's outputs mean: one label, several labels, or a number.

A prediction head holds the true answer of every row and defines loss, validation metrics, baselines
and predictions. It knows no text, image or table: any task that ends in a linear layer can use it.
"""

from engine.prediction_heads.interface import PredictionHead
from engine.prediction_heads.multiclass import MultiClass
from engine.prediction_heads.multilabel import MultiLabel
from engine.prediction_heads.regression import Regression

__all__ = ["PredictionHead", "Regression", "MultiClass", "MultiLabel"]
