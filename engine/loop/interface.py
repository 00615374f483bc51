"""What the training loop expects of a task, and the metric by which it keeps the best epoch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.data.batching import Batch
from engine.loop.optimizers import ParameterGroup


@dataclass(frozen=True)
class ValidationMetric:
    """The validation metric that chooses the best epoch, and which way is better."""

    name: str
    higher_is_better: bool = True

    def is_worse(self, value: float, than: float) -> bool:
        return value < than if self.higher_is_better else value > than


class TrainableTask(Protocol):
    """What a task gives the training loop: steps of rows, a network, a loss and a validation."""

    score: ValidationMetric

    @property
    def network(self) -> torch.nn.Module: ...

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        """The batches of every optimizer step of this epoch; every call returns the same."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """The optimizer's groups; each `lr` is the peak of its schedule."""

    def loss(self, rows: Batch) -> Tensor:
        """Mean loss of these training rows."""

    def weight(self, rows: Batch) -> float:
        """The weight of these rows in the mean over a step: how many they are, or their answer
        tokens, or the sum of their class weights."""

    def memory_cost(self, rows: Batch) -> float:
        """What these rows take in memory together, in any unit, such as tokens with padding."""

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        """Metrics by name, empty without validation rows; advance `check` between batches."""

    def summary(self, metrics: dict[str, float]) -> str:
        """The one or two metrics that people read after an epoch, as text."""
