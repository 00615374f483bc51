"""Linear models and boosted trees by scikit-learn, as plain arrays: nothing is ever unpickled.

A member answers encoded rows (rows, inputs) with outputs (rows, outputs): logits for labels, one
number in units of the target's deviation otherwise.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from threadpoolctl import threadpool_limits

from engine.tabular.encoding import Matrix

Floats = npt.NDArray[np.float64]
MOST_ROUNDS = 300
ROUNDS_STEP = 10
CELLS_FOR_THREADS = 3_000_000
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Rows:
    """Encoded rows with what they should answer: label places (int) or scaled numbers (float)."""

    matrix: Matrix
    targets: Any
    weights: Any  # Of rows, or None.

    def __add__(self, other: "Rows") -> "Rows":
        weights = None
        if self.weights is not None:
            weights = np.concatenate([self.weights, other.weights])
        return Rows(
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
class BoostedTrees:
    """Several boosted models whose raw outputs are averaged."""

    models: list[Any]
    outputs_count: int

    def outputs(self, matrix: Matrix) -> Floats:
        raw: Floats = np.mean([_raw(model, matrix) for model in self.models], axis=0)
        return _as_outputs(raw, self.outputs_count)


def fit_linear(train: Rows, validation: Rows, outputs: int) -> tuple[Linear, float]:
    """The model and its penalty, chosen by the loss on validation rows."""
    fitted = [(fit_linear_with(train, outputs, penalty), penalty) for penalty in PENALTIES]
    if not len(validation.matrix):
        return fitted[2]
    losses = [loss(model.outputs(validation.matrix), validation) for model, _ in fitted]
    return fitted[int(np.argmin(losses))]


def fit_linear_with(train: Rows, outputs: int, penalty: float) -> Linear:
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
    train: Rows, validation: Rows, outputs: int, *, seed: int
) -> tuple[BoostedTrees, int]:
    """The model and its rounds, chosen by the loss on validation rows, for fitting again."""
    if not len(validation.matrix):
        return fit_boosted_with(train, outputs, MOST_ROUNDS // 4, seed=seed), MOST_ROUNDS // 4
    searched = _booster(train, outputs, MOST_ROUNDS, seed)
    losses = [
        loss(_as_outputs(_staged(raw), outputs), validation)
        for raw in _stages(searched, validation.matrix)
    ]
    smoothed = np.convolve(losses, np.ones(ROUNDS_STEP) / ROUNDS_STEP, mode="valid")
    rounds = int(np.argmin(smoothed)) + ROUNDS_STEP
    return fit_boosted_with(train, outputs, rounds, seed=seed), rounds


def fit_boosted_with(train: Rows, outputs: int, rounds: int, *, seed: int) -> BoostedTrees:
    """As many models as are affordable, each seeing other columns at each split."""
    count = 4 if len(train.matrix) <= 20_000 else 1
    models = [_booster(train, outputs, rounds, seed + number) for number in range(count)]
    return BoostedTrees(models, outputs)


def _booster(train: Rows, outputs: int, rounds: int, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if outputs == 1 else HistGradientBoostingClassifier
    model = kind(
        learning_rate=0.07,
        max_iter=rounds,
        max_leaf_nodes=15 if len(train.matrix) < 3000 else 31,
        min_samples_leaf=10,
        l2_regularization=2.0,
        max_features=0.5,
        early_stopping=False,
        random_state=seed % 2**32,
    )
    with tree_threads(train.matrix):
        return model.fit(train.matrix, train.targets, sample_weight=train.weights)


def tree_threads(matrix: Matrix) -> Any:
    """One thread for small tables: waiting for each other costs the threads more than they win,
    hundredfold on a busy machine."""
    return threadpool_limits(1 if matrix.size < CELLS_FOR_THREADS else None, user_api="openmp")


def _stages(model: Any, matrix: Matrix) -> Any:
    if hasattr(model, "staged_decision_function"):
        return model.staged_decision_function(matrix)
    return model.staged_predict(matrix)


def _staged(raw: Any) -> Floats:
    return np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)


def _raw(model: Any, matrix: Matrix) -> Floats:
    """(rows, 1) for numbers and two labels, else (rows, labels that had training rows)."""
    if hasattr(model, "decision_function"):
        return _staged(model.decision_function(matrix))
    return _staged(model.predict(matrix))


def _as_outputs(raw: Floats, outputs: int) -> Floats:
    if outputs == 2 and raw.shape[1] == 1:
        return np.concatenate([np.zeros_like(raw), raw], axis=1)
    return raw


def loss(outputs: Floats, rows: Rows) -> float:
    """Mean cross-entropy of labels, or mean squared error in squared deviations."""
    if outputs.shape[1] == 1:
        return float(np.mean((outputs[:, 0] - rows.targets) ** 2))
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(logs)), rows.targets].mean())
