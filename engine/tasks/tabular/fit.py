"""Fits the members of a table's model, and keeps those that do best on validation rows."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.data.batching import Batch, shuffled_batches
from engine.data.label_issues import LabelExamination, examine_labels
from engine.data.target_outliers import is_long_tailed
from engine.events import Reporter
from engine.loop import optimizers
from engine.loop.checkpoints import TrainingState, fingerprint
from engine.loop.device import Device
from engine.loop.interface import ValidationMetric
from engine.loop.training_loop import run_training_loop
from engine.progress import ProgressTracker
from engine.serving.answers import softmax
from engine.stop_signal import StopSignal
from engine.tasks.shared import Rows
from engine.tasks.tabular.encoder import Matrix
from engine.tasks.tabular.ensemble_members import (
    ABSOLUTE,
    SQUARED,
    BoostedTrees,
    BoostingLoss,
    EncodedRows,
    Floats,
    Linear,
    LogTarget,
    fit_boosted,
    fit_boosted_with,
    fit_linear,
    fit_linear_with,
    loss,
)
from engine.tasks.tabular.ensemble_weights import (
    cross_validate_weights,
    describe_choice,
    fit_ensemble_weights,
    is_few,
    weighted_mean,
)
from engine.tasks.tabular.extra_trees import ExtraTrees, fit_extra_trees, fit_extra_trees_with
from engine.tasks.tabular.network import TabularNetwork
from engine.tasks.tabular.prepare import PreparedTable

BATCH_ROWS = 8192
EXAMINATION_ROUNDS = 60
MAX_ROWS_OF_LOSSES = 20_000
Member = TabularNetwork | BoostedTrees | ExtraTrees | Linear


@dataclass
class MemberSettings:
    """What validation rows chose, for fitting the same members to other rows."""

    penalty: float = 0.0  # Of the linear model.
    rounds: dict[str, int] = field(default_factory=dict)  # Of each kind of boosted trees.
    leaf_size: int = 0  # Of random trees.


@dataclass
class FittedTable:
    """The members kept, by name, and how they were chosen."""

    members: dict[str, Member]
    losses: dict[str, float]  # Validation loss of everything that was tried.
    ensemble_weights: dict[str, float]  # Of each member in the mean; they sum to 1.
    state: TrainingState
    seconds: float
    settings: "MemberSettings"
    reason: str = ""
    examination: LabelExamination | None = None  # Of the labels of `examined_rows`.
    examined_rows: Rows = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def method(self) -> str:
        return " + ".join(self.members)


class TabularLearner:
    """Encoded rows for the training loop. Row numbers count within the training split."""

    def __init__(self, prepared: PreparedTable) -> None:
        self._prepared = prepared
        self.network = prepared.create_network()
        device = prepared.device.name
        self._train = prepared.rows(prepared.split.train)
        self._validation = prepared.rows(prepared.split.validation)
        self._matrix = torch.from_numpy(self._train.matrix).to(device)
        kind = torch.int64 if prepared.is_label else torch.float32
        self._targets = torch.from_numpy(self._train.targets).to(device, kind)
        weights = self._train.weights
        self._weights = None if weights is None else torch.from_numpy(weights).float().to(device)
        self.score = ValidationMetric("validation_loss", higher_is_better=False)

    def epoch_batches(self, epoch: int) -> list[list[Batch]]:
        hyperparameters = self._prepared.spec.hyperparameters
        return shuffled_batches(
            len(self._matrix), hyperparameters.batch_rows, seed=hyperparameters.seed, epoch=epoch
        )

    def parameter_groups(self) -> list[optimizers.ParameterGroup]:
        return optimizers.parameter_groups(
            self.network,
            self._prepared.spec.hyperparameters,
            self._prepared.recommended_learning_rate,
        )

    def loss(self, rows: Batch) -> Tensor:
        index = torch.from_numpy(rows).to(self._matrix.device)
        outputs = self.network(self._matrix[index]).float()
        if not self._prepared.is_label:
            return functional.mse_loss(outputs[:, 0], self._targets[index])
        losses = functional.cross_entropy(outputs, self._targets[index], reduction="none")
        if self._weights is None:
            return losses.mean()
        weights = self._weights[index]
        return (losses * weights).sum() / weights.sum()

    def weight(self, rows: Batch) -> float:
        weights = self._train.weights
        return float(len(rows) if weights is None else weights[rows].sum())

    def memory_cost(self, rows: Batch) -> float:
        return float(len(rows))

    def validate(self, check: Iterable[None]) -> dict[str, float]:
        if not len(self._validation.matrix):
            return {}
        outputs = compute_network_outputs(self.network, self._validation.matrix, check)
        metrics = {"validation_loss": loss(outputs, self._validation)}
        if self._prepared.is_label:
            is_right = outputs.argmax(axis=1) == self._validation.targets
            metrics["validation_accuracy"] = float(is_right.mean())
        else:
            errors = np.abs(outputs[:, 0] - self._validation.targets) * self._prepared.deviation
            metrics["validation_rmse"] = float(np.sqrt((errors**2).mean()))
            metrics["validation_mae"] = float(errors.mean())
        return metrics

    def summary(self, metrics: dict[str, float]) -> str:
        if "validation_accuracy" in metrics:
            return f"validation accuracy {metrics['validation_accuracy']:.1%}"
        return f"validation error {metrics['validation_mae']:.4g} on average"


def compute_network_outputs(
    network: TabularNetwork, matrix: Matrix, check: Iterable[None] = ()
) -> Floats:
    """Outputs (rows, outputs) of the network as it stands, in double precision."""
    network.eval()
    device = next(network.parameters()).device
    ticks, parts = iter(check), []
    for start in range(0, len(matrix), BATCH_ROWS):
        next(ticks, None)
        with torch.inference_mode():
            rows = torch.from_numpy(matrix[start : start + BATCH_ROWS]).to(device)
            parts.append(network(rows).float().cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def compute_outputs(member: Member, matrix: Matrix) -> Floats:
    if isinstance(member, TabularNetwork):
        return compute_network_outputs(member, matrix)
    return member.outputs(matrix)


def compute_ensemble_outputs(trained: FittedTable, matrix: Matrix) -> Floats:
    """What the served file must compute: the weighted mean of the members' logits, or numbers."""
    outputs = {name: compute_outputs(member, matrix) for name, member in trained.members.items()}
    return weighted_mean(outputs, trained.ensemble_weights)


@dataclass
class _EnsembleFit:
    """The members of one job as they are fitted, and the hyperparameters chosen on the way."""

    prepared: PreparedTable
    report: Reporter
    stop: StopSignal
    train: EncodedRows = field(init=False)
    validation: EncodedRows = field(init=False)
    members: dict[str, Member] = field(default_factory=dict)
    ensemble_weights: dict[str, float] = field(default_factory=dict)
    settings: MemberSettings = field(default_factory=MemberSettings)
    losses: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        split = self.prepared.split
        self.train = self.prepared.rows(split.train)
        self.validation = self.prepared.rows(split.validation)

    def fit_members(self) -> None:
        """All that the method asks for but the network, on the training rows."""
        train, validation, outputs = self.train, self.validation, self.prepared.outputs
        hyperparameters = self.prepared.spec.hyperparameters
        method, seed = hyperparameters.method, hyperparameters.seed
        if method in ("auto", "trees"):
            self.report.info("Fitting boosted trees")
            for name in self._boosting_kinds():
                kind = self._boosting_loss(name)
                self.members[name], self.settings.rounds[name] = fit_boosted(
                    train, validation, outputs, seed=seed, kind=kind
                )
                self.stop.raise_if_requested()
        if method in ("auto", "random_trees"):
            self.report.info("Fitting extremely randomised trees")
            self.members["random_trees"], self.settings.leaf_size = fit_extra_trees(
                train, validation, outputs, seed=seed
            )
            self.stop.raise_if_requested()
        if method in ("auto", "linear"):
            self.members["linear"], self.settings.penalty = fit_linear(train, validation, outputs)

    def _boosting_kinds(self) -> list[str]:
        """The members that are boosted trees, by what they minimise. Numbers of large tables have
        one, for rows make up there for what a loss can gain."""
        prepared = self.prepared
        if prepared.is_label or len(self.train.matrix) > MAX_ROWS_OF_LOSSES:
            return ["trees"]
        numbers = self.train.targets * prepared.deviation + prepared.mean
        return ["trees", "absolute_trees", *(["log_trees"] if is_long_tailed(numbers) else [])]

    def _boosting_loss(self, name: str) -> BoostingLoss:
        prepared = self.prepared
        if name == "log_trees":
            return BoostingLoss(log_target=LogTarget(prepared.mean, prepared.deviation))
        return ABSOLUTE if name == "absolute_trees" else SQUARED

    def select_members(self) -> str:
        """Weigh the members by their outputs on validation rows; returns the reason in words."""
        if len(self.members) == 1:
            self.ensemble_weights = dict.fromkeys(self.members, 1.0)
            return ""
        outputs = {
            name: compute_outputs(member, self.validation.matrix)
            for name, member in self.members.items()
        }
        self.ensemble_weights = fit_ensemble_weights(outputs, self.validation, self._weigh())
        self.members = {name: self.members[name] for name in self.ensemble_weights}
        if not len(self.validation.matrix):
            return ""
        self.losses = {name: loss(each, self.validation) for name, each in outputs.items()}
        self.losses[" + ".join(self.ensemble_weights)] = loss(
            weighted_mean(outputs, self.ensemble_weights), self.validation
        )
        reason = describe_choice(self.ensemble_weights)
        self.report.info(reason)
        return reason

    def _weigh(self) -> dict[str, float] | None:
        """Of few validation rows: the weights of all members but the network, which takes too long
        to fit again, among each other."""
        if not is_few(self.validation):
            return None
        seed, rows = self.prepared.spec.hyperparameters.seed, self.train + self.validation
        names = [name for name in self.members if name != "network"]
        fitters = {name: partial(self._fit_member, name, models=1) for name in names}
        weights = cross_validate_weights(fitters, rows, seed)
        return weights and {name: weights.get(name, 0.0) for name in names}

    def _fit_member(
        self, name: str, rows: EncodedRows, *, models: int = 0
    ) -> BoostedTrees | ExtraTrees | Linear:
        """With the hyperparameters that validation rows chose; `models` as boosted trees count."""
        settings, seed = self.settings, self.prepared.spec.hyperparameters.seed
        outputs = self.prepared.outputs
        if name == "linear":
            return fit_linear_with(rows, outputs, settings.penalty)
        if name == "random_trees":
            return fit_extra_trees_with(rows, outputs, settings.leaf_size, seed=seed)
        kind, rounds = self._boosting_loss(name), settings.rounds[name]
        return fit_boosted_with(rows, outputs, rounds, seed=seed, kind=kind, models=models)

    def refit(self, names: Iterable[str]) -> None:
        """Fit these members again with the hyperparameters chosen, on the validation rows too. The
        network stays: it needs them to stop early."""
        rows = self.train + self.validation
        for name in names:
            if name != "network":
                self.members[name] = self._fit_member(name, rows)


def fit(
    prepared: PreparedTable,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
) -> FittedTable:
    """Fit what the method asks for; the network first, for only it can be resumed."""
    started_at = time.monotonic()
    examined, examination = prepared.split.train, _examine_labels(prepared)
    if examination is not None and examination.is_better_without:
        trusted = np.delete(examined, examination.suspects)
        prepared.split = replace(prepared.split, train=trusted)
    ensemble = _EnsembleFit(prepared, report, stop)
    state = TrainingState(finished=True)
    progress.start_phase("training")
    if prepared.spec.hyperparameters.method in ("auto", "network"):
        ensemble.members["network"], state = _train_network(prepared, progress, report, stop)
    stop.raise_if_requested()
    ensemble.fit_members()
    reason = ensemble.select_members()
    ensemble.refit(list(ensemble.members))
    return FittedTable(
        ensemble.members,
        ensemble.losses,
        ensemble.ensemble_weights,
        state,
        max(state.seconds, time.monotonic() - started_at),
        ensemble.settings,
        reason,
        examination,
        examined,
    )


def fit_again(prepared: PreparedTable, trained: FittedTable, fold: int) -> FittedTable:
    """The members of a fitted model, with its settings and weights, on the rows of this fold. Its
    suspected labels are left out again where they were."""
    split, examination = prepared.split, trained.examination
    if examination is not None and examination.is_better_without:
        suspects = trained.examined_rows[examination.suspects]
        prepared = replace(
            prepared, split=replace(split, train=np.setdiff1d(split.train, suspects))
        )
    silent, stop = Reporter(lambda _line: None), StopSignal()
    ensemble = _EnsembleFit(prepared, silent, stop, settings=trained.settings)
    if "network" in trained.members:
        progress = ProgressTracker(silent, {"training": 1.0})
        ensemble.members["network"], _ = _train_network(prepared, progress, silent, stop, fold=fold)
    ensemble.refit(trained.members)
    return replace(trained, members=ensemble.members)


def _examine_labels(prepared: PreparedTable) -> LabelExamination | None:
    """Of the training rows, by boosted trees; not where the network learns alone, as in each trial
    of a search."""
    if not prepared.is_label or prepared.spec.hyperparameters.method == "network":
        return None
    rows, outputs = prepared.rows(prepared.split.train), prepared.outputs

    def predict(train: Rows, held_out: Rows) -> Floats:
        part = EncodedRows(rows.matrix[train], rows.targets[train], None)
        model = fit_boosted_with(part, outputs, EXAMINATION_ROUNDS, seed=0, models=1)
        return softmax(model.outputs(rows.matrix[held_out]))

    return examine_labels(rows.targets, predict, prepared.spec.split.seed)


def _train_network(
    prepared: PreparedTable,
    progress: ProgressTracker,
    report: Reporter,
    stop: StopSignal,
    *,
    fold: int | None = None,
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
        spec.effective_split.model_dump(),
        [feature.model_dump() for feature in prepared.encoder.features],
        prepared.table.label_names,
        len(prepared.matrix),
    )
    state = run_training_loop(
        learner,
        spec,
        epochs=spec.hyperparameters.planned_epochs(len(prepared.split.train)),
        identity=identity,
        device=prepared.device,
        clock=progress,
        report=report,
        stop=stop,
        fold=fold,
    )
    return learner.network.to("cpu").eval(), state
