"""Extremely randomised trees (Geurts, Ernst and Wehenkel 2006): the mean of many unpruned trees.

They fit single rows where boosting smooths over them, so the two make different errors: their mean
is better than either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from engine.tasks.tabular.encoder import Matrix
from engine.tasks.tabular.ensemble_members import EncodedRows, Floats, loss

TREE_COUNT = 100
LEAF_SIZES = (1, 2, 4, 8)  # The fewest rows a leaf may hold.
DEFAULT_LEAF_SIZE = 4
MAX_TUNING_ROWS = 20_000  # On more rows tuning takes minutes and gains little.
# Bounds the served file: a tree of so many leaves takes 0.1 MB of it.
MAX_LEAVES = 2000
# Added to every leaf's label shares: the output is their logarithm, so none may be zero.
LABEL_SMOOTHING = 0.02


@dataclass(frozen=True)
class ExtraTrees:
    """Outputs: of labels, the logarithm of their mean share in the leaves; of numbers, the mean."""

    model: Any
    outputs_count: int

    def outputs(self, matrix: Matrix) -> Floats:
        if self.outputs_count == 1:
            return np.asarray(self.model.predict(matrix), dtype=np.float64)[:, None]
        return np.asarray(np.log(self.smooth_probabilities(self.model.predict_proba(matrix))))

    def smooth_probabilities(self, shares: Any) -> Any:
        return (shares + LABEL_SMOOTHING / self.outputs_count) / (1 + LABEL_SMOOTHING)


def fit_extra_trees(
    train: EncodedRows, validation: EncodedRows, outputs: int, *, seed: int
) -> tuple[ExtraTrees, int]:
    """The model and its leaf size, chosen by the loss on validation rows, for fitting again."""
    sizes = (
        candidate_leaf_sizes(len(train.matrix)) if len(validation.matrix) else [DEFAULT_LEAF_SIZE]
    )
    fitted = [(fit_extra_trees_with(train, outputs, size, seed=seed), size) for size in sizes]
    if len(fitted) == 1:
        return fitted[0]
    losses = [loss(model.outputs(validation.matrix), validation) for model, _ in fitted]
    return fitted[int(np.argmin(losses))]


def candidate_leaf_sizes(rows: int) -> Sequence[int]:
    """The leaf sizes to try on so many training rows."""
    return LEAF_SIZES if rows <= MAX_TUNING_ROWS else [DEFAULT_LEAF_SIZE]


def fit_extra_trees_with(
    train: EncodedRows, outputs: int, leaf_size: int, *, seed: int
) -> ExtraTrees:
    kind = ExtraTreesRegressor if outputs == 1 else ExtraTreesClassifier
    model = kind(
        TREE_COUNT,
        min_samples_leaf=leaf_size,
        max_leaf_nodes=MAX_LEAVES,
        random_state=seed % 2**32,
        n_jobs=-1,
    )
    model.fit(train.matrix, train.targets, sample_weight=train.weights)
    return ExtraTrees(model, outputs)
