"""scikit-learn's trees as the attributes of ONNX's TreeEnsembleRegressor (ai.onnx.ml)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.tabular.members import BoostedTrees
from engine.tabular.random_trees import RandomTrees


@dataclass(frozen=True)
class Tree:
    """One tree's nodes, the root first: (nodes,) each, `values` (nodes, targets it adds to)."""

    is_leaf: npt.NDArray[np.bool_]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    below: npt.NDArray[np.int64]  # Where a row goes whose feature is at most the threshold.
    above: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    first_target: int = 0


def boosted_attributes(member: BoostedTrees) -> dict[str, Any]:
    """All trees of all models, and the mean of the models' starting points."""
    outputs = 1 if member.outputs_count == 2 else member.outputs_count
    share = 1 / len(member.models)
    trees = [
        _boosted_tree(tree.nodes, place, share)
        for model in member.models
        for together in model._predictors  # One round; scikit-learn offers no public way in.
        for place, tree in enumerate(together)
    ]
    starts = [
        np.broadcast_to(np.ravel(model._baseline_prediction), outputs) for model in member.models
    ]
    return _attributes(trees, np.mean(starts, axis=0))


def random_attributes(member: RandomTrees) -> dict[str, Any]:
    """The mean of the trees; of labels, their shares before the logarithm."""
    trees = [_random_tree(one.tree_, member) for one in member.model.estimators_]
    return _attributes(trees, np.zeros(member.outputs_count))


def _boosted_tree(nodes: Any, target: int, share: float) -> Tree:
    return Tree(
        is_leaf=nodes["is_leaf"].astype(bool),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        below=nodes["left"],
        above=nodes["right"],
        values=nodes["value"][:, None] * share,
        first_target=target,
    )


def _random_tree(tree: Any, member: RandomTrees) -> Tree:
    values = tree.value[:, 0, :]
    if member.outputs_count > 1:
        values = member.with_doubt(values / values.sum(axis=1, keepdims=True))
    return Tree(
        is_leaf=tree.children_left < 0,
        feature=tree.feature,
        threshold=tree.threshold,
        below=tree.children_left,
        above=tree.children_right,
        values=values / len(member.model.estimators_),
    )


def _attributes(trees: Sequence[Tree], base: Any) -> dict[str, Any]:
    targets = {"n_targets": len(base), "base_values": np.asarray(base, dtype=float).tolist()}
    return _nodes_of(trees) | _leaves_of(trees) | targets | {"aggregate_function": "SUM"}


def _nodes_of(trees: Sequence[Tree]) -> dict[str, list[Any]]:
    sizes = [len(tree.is_leaf) for tree in trees]
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])

    def of_branches(values: list[Any]) -> Any:
        return np.where(is_leaf, 0, np.concatenate(values))

    return {
        "nodes_treeids": _numbers(np.repeat(np.arange(len(trees)), sizes)),
        "nodes_nodeids": _numbers(np.concatenate([np.arange(size) for size in sizes])),
        "nodes_featureids": _numbers(of_branches([tree.feature for tree in trees])),
        "nodes_values": of_branches([rounded_down(tree.threshold) for tree in trees]).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        "nodes_truenodeids": _numbers(of_branches([tree.below for tree in trees])),
        "nodes_falsenodeids": _numbers(of_branches([tree.above for tree in trees])),
        "nodes_missing_value_tracks_true": [0] * len(is_leaf),  # Encoded rows have no gaps.
    }


def _leaves_of(trees: Sequence[Tree]) -> dict[str, list[Any]]:
    numbers, places, targets, weights = [], [], [], []
    for number, tree in enumerate(trees):
        leaves, count = np.flatnonzero(tree.is_leaf), tree.values.shape[1]
        numbers.append(np.full(len(leaves) * count, number))
        places.append(np.repeat(leaves, count))
        targets.append(np.tile(np.arange(count) + tree.first_target, len(leaves)))
        weights.append(tree.values[leaves].ravel())
    return {
        "target_treeids": _numbers(np.concatenate(numbers)),
        "target_nodeids": _numbers(np.concatenate(places)),
        "target_ids": _numbers(np.concatenate(targets)),
        "target_weights": np.concatenate(weights).astype(float).tolist(),
    }


def _numbers(values: Any) -> list[int]:
    return [int(value) for value in values]


def rounded_down(values: Any) -> Any:
    """The largest float32 not above each value."""
    exact = np.asarray(values, dtype=np.float64)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > exact, below, nearest)
