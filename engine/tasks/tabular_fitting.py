"""Fits the members of a table's model, and keeps those that do best on validation rows."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine import catalog, optimizing
from engine.batching import Batch, plain_steps
from engine.checkpoints import TrainingState, fingerprint
from engine.device import Device
from engine.events import Reporter
from engine.progress import JobClock
from engine.stopping import StopSignal
from engine.tabular.encoding import Matrix
from engine.tabular.members import (
    BoostedTrees,
    Floats,
    Linear,
    Rows,
    fit_boosted,
    fit_boosted_with,
    fit_linear,
    fit_linear_with,
    loss,
)
from engine.tabular.mixing import mixed, shares_of
from engine.tabular.network import TabularNetwork
from engine.tabular.random_trees import RandomTrees, fit_random_trees, fit_random_trees_with
from engine.tasks.tabular_preparation import Prepared
from engine.training import Score, learn

NAMES = {
    "network": "the network",
    "trees": "boosted trees",
    "random_trees": "extremely randomised trees",
    "linear": "the linear model",
}
ROWS_AT_ONCE = 8192
Member = TabularNetwork | BoostedTrees | RandomTrees | Linear


@dataclass
class Trained:
    """The members kept, by name, and what the report says about how they came about."""

    members: dict[str, Member]
    losses: dict[str, float]  # Validation loss of everything that was tried.
    shares: dict[str, float]  # How much each member counts; they sum to 1.
    state: TrainingState
    seconds: float
    reason: str = ""

    @property
    def method(self) -> str:
        return " + ".join(self.members)


class TabularLearner:
    """Brings encoded rows to the loop. Row numbers count within the training split."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self.network = prepared.new_network()
        device = prepared.device.name
        self._train = prepared.rows(prepared.split.train)
        self._validation = prepared.rows(prepared.split.validation)
        self._matrix = torch.from_numpy(self._train.matrix).to(device)
        self._targets = _tensor(self._train.targets).to(device)
        weights = self._train.weights
        self._weights = None if weights is None else torch.from_numpy(weights).float().to(device)
        self.score = Score("validation_loss", higher_is_better=False)

    def steps_of(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._prepared.spec.hyperparameters
        return plain_steps(
            len(self._matrix), hyperparameters.batch_rows, seed=hyperparameters.seed, epoch=epoch
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        dials = self._prepared.spec.hyperparameters
        recommended = catalog.find(self._prepared.spec.base_model).learning_rate
        return optimizing.parameter_groups(self.network, dials, recommended)

    def loss(self, rows: Batch) -> Tensor:
        chosen = torch.from_numpy(rows).to(self._matrix.device)
        outputs = self.network(self._matrix[chosen]).float()
        if not self._prepared.is_label:
            return functional.mse_loss(outputs[:, 0], self._targets[chosen])
        losses = functional.cross_entropy(outputs, self._targets[chosen], reduction="none")
        if self._weights is None:
            return losses.mean()
        weights = self._weights[chosen]
        return (losses * weights).sum() / weights.sum()

    def weight(self, rows: Batch) -> float:
        weights = self._train.weights
        return float(len(rows) if weights is None else weights[rows].sum())

    def cost(self, rows: Batch) -> float:
        return float(len(rows))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation.matrix):
            return {}
        outputs = network_outputs(self.network, self._validation.matrix, check)
        metrics = {"validation_loss": loss(outputs, self._validation)}
        if self._prepared.is_label:
            right = outputs.argmax(axis=1) == self._validation.targets
            metrics["validation_accuracy"] = float(right.mean())
        else:
            errors = np.abs(outputs[:, 0] - self._validation.targets) * self._prepared.deviation
            metrics["validation_mae"] = float(errors.mean())
        return metrics

    def summary(self, metrics: dict[str, float]) -> str:
        if "validation_accuracy" in metrics:
            return f"validation accuracy {metrics['validation_accuracy']:.1%}"
        return f"validation error {metrics['validation_mae']:.4g} on average"


def _tensor(targets: npt.NDArray[Any]) -> Tensor:
    kind = torch.int64 if targets.dtype.kind == "i" else torch.float32
    return torch.from_numpy(targets).to(kind)


def network_outputs(network: TabularNetwork, matrix: Matrix, check: Iterable[None] = ()) -> Floats:
    """Outputs (rows, outputs) of the network as it stands, in double precision."""
    network.eval()
    device = next(network.parameters()).device
    ticks, parts = iter(check), []
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        next(ticks, None)
        with torch.inference_mode():
            rows = torch.from_numpy(matrix[start : start + ROWS_AT_ONCE]).to(device)
            parts.append(network(rows).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def outputs_of(member: Member, matrix: Matrix) -> Floats:
    if isinstance(member, TabularNetwork):
        return network_outputs(member, matrix)
    return member.outputs(matrix)


def mean_outputs(trained: Trained, matrix: Matrix) -> Floats:
    """What the served file must compute: the weighted mean of the members' logits, or numbers."""
    outputs = {name: outputs_of(member, matrix) for name, member in trained.members.items()}
    return mixed(outputs, trained.shares)


@dataclass
class _Fitting:
    """The members of one job as they are fitted, and the dials found on the way."""

    prepared: Prepared
    report: Reporter
    train: Rows
    validation: Rows
    members: dict[str, Member] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    penalty: float = 0.0
    rounds: int = 0
    leaf_size: int = 0
    losses: dict[str, float] = field(default_factory=dict)

    def fit_linear(self) -> None:
        self.members["linear"], self.penalty = fit_linear(
            self.train, self.validation, self.prepared.outputs
        )

    def fit_trees(self) -> None:
        self.members["trees"], self.rounds = fit_boosted(
            self.train, self.validation, self.prepared.outputs, seed=self._seed
        )

    def fit_random_trees(self) -> None:
        self.members["random_trees"], self.leaf_size = fit_random_trees(
            self.train, self.validation, self.prepared.outputs, seed=self._seed
        )

    @property
    def _seed(self) -> int:
        return self.prepared.spec.hyperparameters.seed

    def choose(self) -> str:
        """Weigh the members by what they do on validation rows; the reason in words."""
        if len(self.members) == 1:
            self.shares = dict.fromkeys(self.members, 1.0)
            return ""
        outputs = {
            name: outputs_of(member, self.validation.matrix)
            for name, member in self.members.items()
        }
        self.shares = shares_of(outputs, self.validation)
        self.members = {name: self.members[name] for name in self.shares}
        if not len(self.validation.matrix):
            return ""
        self.losses = {name: loss(one, self.validation) for name, one in outputs.items()}
        self.losses[" + ".join(self.shares)] = loss(mixed(outputs, self.shares), self.validation)
        reason = _reason(self.shares)
        self.report.info(reason)
        return reason

    def fit_again(self) -> None:
        """With the dials found, also on the validation rows. The network needed them to stop."""
        everything = self.train + self.validation
        outputs, seed = self.prepared.outputs, self._seed
        if "linear" in self.members:
            self.members["linear"] = fit_linear_with(everything, outputs, self.penalty)
        if "trees" in self.members:
            self.members["trees"] = fit_boosted_with(everything, outputs, self.rounds, seed=seed)
        if "random_trees" in self.members:
            self.members["random_trees"] = fit_random_trees_with(
                everything, outputs, self.leaf_size, seed=seed
            )


def _reason(shares: dict[str, float]) -> str:
    if len(shares) == 1:
        return f"On validation rows {NAMES[next(iter(shares))]} did best alone and was kept."
    ordered = sorted(shares, key=lambda name: -shares[name])
    words = [f"{NAMES[name]} ({shares[name]:.0%})" for name in ordered]
    together = f"{', '.join(words[:-1])} and {words[-1]}"
    return f"On validation rows {together} did best together: their weighted mean answers."


def fit(prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal) -> Trained:
    """Fit what the method asks for; the network first, for it is what can be resumed."""
    started_at = time.monotonic()
    divided, method = prepared.split, prepared.spec.hyperparameters.method
    train, validation = prepared.rows(divided.train), prepared.rows(divided.validation)
    fitting = _Fitting(prepared, report, train, validation)
    state = TrainingState(finished=True)
    clock.enter("training")
    if method in ("auto", "network"):
        fitting.members["network"], state = _train_network(prepared, clock, report, stop)
    stop.raise_if_requested()
    if method in ("auto", "trees"):
        report.info("Fitting boosted trees")
        fitting.fit_trees()
    stop.raise_if_requested()
    if method in ("auto", "random_trees"):
        report.info("Fitting extremely randomised trees")
        fitting.fit_random_trees()
    stop.raise_if_requested()
    if method in ("auto", "linear"):
        fitting.fit_linear()
    reason = fitting.choose()
    fitting.fit_again()
    seconds = max(state.seconds, time.monotonic() - started_at)
    return Trained(fitting.members, fitting.losses, fitting.shares, state, seconds, reason)


def _train_network(
    prepared: Prepared, clock: JobClock, report: Reporter, stop: StopSignal
) -> tuple[TabularNetwork, TrainingState]:
    """By the loop, from the checkpoint in the spec if it fits this job."""
    spec = prepared.spec
    if spec.hyperparameters.precision == "auto" and prepared.device.name == "cpu":
        # So small a network gains nothing from half precision.
        prepared.device = Device("cpu", "fp32")
    learner = TabularLearner(prepared)
    identity = fingerprint(
        spec.base_model,
        spec.hyperparameters.model_dump(),
        spec.split.model_dump(),
        [feature.model_dump() for feature in prepared.encoder.features],
        prepared.table.label_names,
        len(prepared.matrix),
    )
    state = learn(
        learner,
        spec,
        epochs=spec.hyperparameters.planned_epochs(len(prepared.split.train)),
        identity=identity,
        device=prepared.device,
        clock=clock,
        report=report,
        stop=stop,
    )
    return learner.network.to("cpu").eval(), state
