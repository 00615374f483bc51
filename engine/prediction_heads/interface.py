"""What every prediction head implements."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from torch import Tensor

from engine.artifact import Target
from engine.data.baselines import Probe
from engine.evaluation.rows import ModelPredictions
from engine.loop.interface import ValidationMetric

Rows = npt.NDArray[np.int64]
Outputs = npt.NDArray[np.float32]  # (rows, outputs): logits, or one standardised number.


class PredictionHead(ABC):
    """Row numbers are positions among the usable rows, as in the split."""

    score: ValidationMetric
    outputs: int
    labels: list[str]
    has_thresholds = False  # Whether `fit_thresholds` chooses anything.

    @abstractmethod
    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        """Mean training loss, float32, weighted by `weight` of the rows."""

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    @abstractmethod
    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        """Metrics with names that start with validation_."""

    @abstractmethod
    def summary(self, metrics: dict[str, float]) -> str:
        """The metric that people read after an epoch, as text."""

    @abstractmethod
    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        """A linear layer on frozen unit-length features of these rows."""

    @abstractmethod
    def fit_sparse(self, features: csr_matrix, rows: Rows, strength: float) -> Probe:
        """A linear layer on sparse features of these rows; `strength` is the inverse
        regularisation."""

    @abstractmethod
    def fit_thresholds(self, outputs: Outputs, rows: Rows) -> None:
        """Choose each label's threshold by these held-out rows; nothing to do for other heads."""

    @abstractmethod
    def build_predictions(self, outputs: Outputs, rows: Rows) -> ModelPredictions:
        """The predictions on rows whose true answer is known."""

    @abstractmethod
    def quality(self, outputs: Outputs, rows: Rows) -> float:
        """One number, higher is better, in shares: accuracy, micro F1 or R²."""

    @abstractmethod
    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Share of rows on which two files' outputs mean the same answer."""

    @abstractmethod
    def p_value_against_probe(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """The p-value of `probe` being better than `outputs`; 1 where it is not better."""

    @abstractmethod
    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, ModelPredictions]]:
        """Id, name and test answers of guessing and of a linear model on words."""

    @abstractmethod
    def target(self, column: str) -> Target:
        """The manifest's description of the answers."""
