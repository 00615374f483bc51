"""The outline every goal fills in."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from engine.artifact import Target
from engine.baselines import Probe
from engine.evaluation.rows import Given
from engine.training import Score

Rows = npt.NDArray[np.int64]
Outputs = npt.NDArray[np.float32]  # (rows, outputs): logits, or one standardised number.


class Goal(ABC):
    """Row numbers are positions among the usable rows, as in the split."""

    score: Score
    outputs: int
    labels: list[str]
    settles = False  # Whether `settle` chooses anything.

    @abstractmethod
    def loss(self, outputs: Tensor, rows: Rows) -> Tensor:
        """Mean training loss, float32; each row counts by its weight."""

    def weight(self, rows: Rows) -> float:
        return float(len(rows))

    @abstractmethod
    def validation(self, outputs: Outputs, rows: Rows) -> dict[str, float]:
        """Metrics with names that start with validation_."""

    @abstractmethod
    def summary(self, metrics: dict[str, float]) -> str:
        """The metric people read after an epoch, in words."""

    @abstractmethod
    def fit_probe(self, features: Outputs, rows: Rows) -> Probe:
        """A linear layer on frozen unit-length features of these rows."""

    @abstractmethod
    def settle(self, outputs: Outputs, rows: Rows) -> None:
        """Choose what is chosen after training on held-out rows, such as thresholds."""

    @abstractmethod
    def answers(self, outputs: Outputs, rows: Rows) -> Given:
        """The served answers on rows whose truth is known."""

    @abstractmethod
    def quality(self, outputs: Outputs, rows: Rows) -> float:
        """One number, higher is better, in shares: accuracy, micro F1 or R²."""

    @abstractmethod
    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Share of rows to which two files give the same answer."""

    @abstractmethod
    def p_value_of_loss(self, outputs: Outputs, probe: Outputs, rows: Rows) -> float:
        """How likely chance alone makes `probe` so much better; 1 where it is not better."""

    @abstractmethod
    def baselines(
        self, train_texts: list[str], train: Rows, test_texts: list[str], test: Rows
    ) -> list[tuple[str, str, Given]]:
        """Id, name and test answers of guessing and of a linear model on words."""

    @abstractmethod
    def target(self, column: str) -> Target:
        """What the manifest says of the answers."""

    def described(self) -> dict[str, Any]:
        """Facts for the report's data section."""
        return {"labels": len(self.labels)}
