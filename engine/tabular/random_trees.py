"""Extremely randomised trees (Geurts, Ernst and Wehenkel 2006): the mean of many unpruned trees.

They remember single rows where boosting smooths them away, and err elsewhere: the two mix well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from engine.tabular.encoding import Matrix
from engine.tabular.members import Floats, Rows, loss

TREES = 100
LEAF_SIZES = (1, 2, 4, 8)  # The fewest rows a leaf may hold.
USUAL_LEAF_SIZE = 4
ROWS_TO_CHOOSE = 20_000  # Of more rows a choice takes minutes and wins little.
# Bounds the served file: a tree of so many leaves takes 0.1 MB of it.
MOST_LEAVES = 2000
# Added to every leaf's shares, so that no label is ever impossible: its logarithm is the answer.
DOUBT = 0.02


@dataclass(frozen=True)
class RandomTrees:
    """Of labels, the logarithm of their mean share in the leaves; of numbers, the mean."""

    model: Any
    outputs_count: int

    def outputs(self, matrix: Matrix) -> Floats:
        if self.outputs_count == 1:
            return np.asarray(self.model.predict(matrix), dtype=np.float64)[:, None]
        return np.asarray(np.log(self.with_doubt(self.model.predict_proba(matrix))))

    def with_doubt(self, shares: Any) -> Any:
        return (shares + DOUBT / self.outputs_count) / (1 + DOUBT)


def fit_random_trees(
    train: Rows, validation: Rows, outputs: int, *, seed: int
) -> tuple[RandomTrees, int]:
    """The model and its leaf size, chosen by the loss on validation rows, for fitting again."""
    sizes = leaf_sizes(len(train.matrix)) if len(validation.matrix) else [USUAL_LEAF_SIZE]
    fitted = [(fit_random_trees_with(train, outputs, size, seed=seed), size) for size in sizes]
    if len(fitted) == 1:
        return fitted[0]
    losses = [loss(model.outputs(validation.matrix), validation) for model, _ in fitted]
    return fitted[int(np.argmin(losses))]


def leaf_sizes(rows: int) -> Sequence[int]:
    """Those that are tried on so many training rows."""
    return LEAF_SIZES if rows <= ROWS_TO_CHOOSE else [USUAL_LEAF_SIZE]


def fit_random_trees_with(train: Rows, outputs: int, leaf_size: int, *, seed: int) -> RandomTrees:
    kind = ExtraTreesRegressor if outputs == 1 else ExtraTreesClassifier
    model = kind(
        TREES,
        min_samples_leaf=leaf_size,
        max_leaf_nodes=MOST_LEAVES,
        random_state=seed % 2**32,
        n_jobs=-1,
    )
    model.fit(train.matrix, train.targets, sample_weight=train.weights)
    return RandomTrees(model, outputs)
