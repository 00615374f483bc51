"""Linear models and boosted trees by scikit-learn; artifacts keep them as ONNX, never as pickles.

A member maps encoded rows (rows, inputs) to outputs (rows, outputs): logits for labels, one number
in units of the target's deviation otherwise.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

from engine.tasks.tabular.encoder import Matrix

Floats = npt.NDArray[np.float64]
MAX_ROUNDS = 300
ROUNDS_STEP = 10
MIN_CELLS_FOR_THREADS = 3_000_000
TINY = 1e-12
C_GRID = (0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class EncodedRows:
    """Encoded rows with their targets: label indices (int) or scaled numbers (float)."""

    matrix: Matrix
    targets: Any
    weights: Any  # Of rows, or None.

    def take(self, rows: npt.NDArray[np.int64]) -> "EncodedRows":
        weights = None if self.weights is None else self.weights[rows]
        return EncodedRows(self.matrix[rows], self.targets[rows], weights)

    def __add__(self, other: "EncodedRows") -> "EncodedRows":
        weights = None
        if self.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        return EncodedRows(
            np.concatenate([self.matrix, other.matrix]),
            np.concatenate([self.targets, other.targets]),
            weights,
        )


@dataclass(frozen=True)
class Linear:
    """Weights (outputs, inputs) and bias (outputs,)."""

    weights: Matrix
    bias: Matrix

    def outputs(self, matrix: Matrix) -> Floats:
        return matrix.astype(np.float64) @ self.weights.T.astype(np.float64) + self.bias


@dataclass(frozen=True)
class LogTarget:
    """Trees that learn the logarithm of a positive target answer by its exponential, in the unit
    of all members: (target - mean) / deviation. The mean of logarithms is a median of the target,
    so that neither long tails nor wrong values bend it much."""

    mean: float
    deviation: float

    def encode(self, scaled: Floats) -> Floats:
        return np.asarray(np.log(np.maximum(scaled * self.deviation + self.mean, TINY)))

    def decode(self, logs: Floats) -> Floats:
        return np.asarray((np.exp(logs) - self.mean) / self.deviation)


@dataclass(frozen=True)
class BoostedTrees:
    """Several boosted models whose raw outputs are averaged."""

    models: list[Any]
    outputs_count: int
    log_target: LogTarget | None = None

    def outputs(self, matrix: Matrix) -> Floats:
        raw: Floats = np.mean([_raw_predictions(model, matrix) for model in self.models], axis=0)
        if self.log_target is not None:
            return self.log_target.decode(raw)
        return _to_logits(raw, self.outputs_count)


@dataclass(frozen=True)
class BoostingLoss:
    """What boosted trees minimise: squared errors, absolute ones (Friedman 2001: a wrong target
    pulls no harder than any other), or squared errors of the logarithm."""

    name: str = "squared_error"
    log_target: LogTarget | None = None


SQUARED, ABSOLUTE = BoostingLoss(), BoostingLoss("absolute_error")


def fit_linear(train: EncodedRows, validation: EncodedRows, outputs: int) -> tuple[Linear, float]:
    """The model and its penalty, chosen by the loss on validation rows."""
    fitted = [(fit_linear_with(train, outputs, penalty), penalty) for penalty in C_GRID]
    if not len(validation.matrix):
        return fitted[2]
    losses = [loss(model.outputs(validation.matrix), validation) for model, _ in fitted]
    return fitted[int(np.argmin(losses))]


def fit_linear_with(train: EncodedRows, outputs: int, penalty: float) -> Linear:
    """Logistic regression of inverse strength `penalty`, or ridge regression."""
    matrix = train.matrix.astype(np.float64)
    if outputs == 1:
        strengths = np.logspace(-2, 4, 13)
        ridge = RidgeCV(alphas=strengths).fit(matrix, train.targets, sample_weight=train.weights)
        return Linear(
            ridge.coef_.reshape(1, -1).astype(np.float32),
            np.asarray([ridge.intercept_], dtype=np.float32),
        )
    model = LogisticRegression(C=penalty, max_iter=400, tol=1e-4)
    model.fit(matrix, train.targets, sample_weight=train.weights)
    weights, bias = model.coef_, model.intercept_
    if outputs == 2:  # One row of weights decides between two labels.
        weights, bias = np.stack([0 * weights[0], weights[0]]), np.append(0.0, bias)
    return Linear(weights.astype(np.float32), bias.astype(np.float32))


def fit_boosted(
    train: EncodedRows,
    validation: EncodedRows,
    outputs: int,
    *,
    seed: int,
    kind: BoostingLoss = SQUARED,
) -> tuple[BoostedTrees, int]:
    """The model and its rounds, chosen by the loss on validation rows, for fitting again."""
    if not len(validation.matrix):
        rounds = MAX_ROUNDS // 4
        return fit_boosted_with(train, outputs, rounds, seed=seed, kind=kind), rounds
    searched = _fit_booster(train, outputs, MAX_ROUNDS, seed, kind)
    decode = kind.log_target.decode if kind.log_target else partial(_to_logits, outputs=outputs)
    losses = [
        loss(decode(_as_matrix(raw)), validation)
        for raw in (
            searched.staged_decision_function(validation.matrix)
            if hasattr(searched, "staged_decision_function")
            else searched.staged_predict(validation.matrix)
        )
    ]
    smoothed = np.convolve(losses, np.ones(ROUNDS_STEP) / ROUNDS_STEP, mode="valid")
    rounds = int(np.argmin(smoothed)) + ROUNDS_STEP
    return fit_boosted_with(train, outputs, rounds, seed=seed, kind=kind), rounds


def fit_boosted_with(
    train: EncodedRows,
    outputs: int,
    rounds: int,
    *,
    seed: int,
    kind: BoostingLoss = SQUARED,
    models: int = 0,
) -> BoostedTrees:
    """So many models; 0: four on small tables, one on large. Each split of a tree tries other
    columns."""
    count = models or (4 if len(train.matrix) <= 20_000 else 1)
    fitted = [_fit_booster(train, outputs, rounds, seed + number, kind) for number in range(count)]
    return BoostedTrees(fitted, outputs, kind.log_target)


def _fit_booster(
    train: EncodedRows, outputs: int, rounds: int, seed: int, kind: BoostingLoss
) -> Any:
    make = (
        partial(HistGradientBoostingRegressor, loss=kind.name)
        if outputs == 1
        else HistGradientBoostingClassifier
    )
    targets = kind.log_target.encode(train.targets) if kind.log_target else train.targets
    model = make(
        learning_rate=0.07,
        max_iter=rounds,
        max_leaf_nodes=15 if len(train.matrix) < 3000 else 31,
        min_samples_leaf=10,
        l2_regularization=2.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed % 2**32,
    )
    with limit_openmp_threads(train.matrix):
        return model.fit(train.matrix, targets, sample_weight=train.weights)


def limit_openmp_threads(matrix: Matrix) -> Any:
    """One thread for small tables: threads that wait for each other cost more time than they save,
    a hundredfold on a busy machine."""
    return threadpool_limits(1 if matrix.size < MIN_CELLS_FOR_THREADS else None, user_api="openmp")


def _as_matrix(raw: Any) -> Floats:
    return np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)


def _raw_predictions(model: Any, matrix: Matrix) -> Floats:
    """(rows, 1) for numbers and two labels, else (rows, labels that had training rows)."""
    if hasattr(model, "decision_function"):
        return _as_matrix(model.decision_function(matrix))
    return _as_matrix(model.predict(matrix))


def _to_logits(raw: Floats, outputs: int) -> Floats:
    if outputs == 2 and raw.shape[1] == 1:
        return np.concatenate([np.zeros_like(raw), raw], axis=1)
    return raw


def loss(outputs: Floats, rows: EncodedRows) -> float:
    """Mean cross-entropy of labels, or mean squared error in squared deviations."""
    if outputs.shape[1] == 1:
        return float(np.mean((outputs[:, 0] - rows.targets) ** 2))
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(logs)), rows.targets].mean())
