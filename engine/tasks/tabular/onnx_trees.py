"""scikit-learn's trees as the attributes of ONNX's TreeEnsembleRegressor (ai.onnx.ml)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.tasks.tabular.ensemble_members import BoostedTrees
from engine.tasks.tabular.extra_trees import ExtraTrees

# By name: lists of numbers or of words, and single ones.
TreeEnsembleAttributes = dict[str, list[Any] | int | str]


@dataclass(frozen=True)
class TreeNodes:
    """One tree's nodes, the root first: arrays (nodes,); `values` (nodes, targets) is added to the
    targets from `first_target` on."""

    is_leaf: npt.NDArray[np.bool_]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left_child: npt.NDArray[np.int64]  # Of rows whose feature is at most the threshold.
    right_child: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    first_target: int = 0


def boosted_attributes(member: BoostedTrees) -> TreeEnsembleAttributes:
    """All trees of all models, and the mean of the models' baselines."""
    outputs = 1 if member.outputs_count == 2 else member.outputs_count
    weight = 1 / len(member.models)
    trees = [
        _boosted_tree_nodes(tree.nodes, target, weight)
        for model in member.models
        for boosting_round in model._predictors  # scikit-learn has no public name for them.
        for target, tree in enumerate(boosting_round)
    ]
    starts = [
        np.broadcast_to(np.ravel(model._baseline_prediction), outputs) for model in member.models
    ]
    return _ensemble_attributes(trees, np.mean(starts, axis=0))


def extra_trees_attributes(member: ExtraTrees) -> TreeEnsembleAttributes:
    """The mean of the trees; of labels, their shares before the logarithm."""
    trees = [_extra_tree_nodes(tree.tree_, member) for tree in member.model.estimators_]
    return _ensemble_attributes(trees, np.zeros(member.outputs_count))


def _boosted_tree_nodes(nodes: Any, target: int, weight: float) -> TreeNodes:
    return TreeNodes(
        is_leaf=nodes["is_leaf"].astype(bool),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        left_child=nodes["left"],
        right_child=nodes["right"],
        values=nodes["value"][:, None] * weight,
        first_target=target,
    )


def _extra_tree_nodes(tree: Any, member: ExtraTrees) -> TreeNodes:
    values = tree.value[:, 0, :]
    if member.outputs_count > 1:
        values = member.smooth_probabilities(values / values.sum(axis=1, keepdims=True))
    return TreeNodes(
        is_leaf=tree.children_left < 0,
        feature=tree.feature,
        threshold=tree.threshold,
        left_child=tree.children_left,
        right_child=tree.children_right,
        values=values / len(member.model.estimators_),
    )


def _ensemble_attributes(trees: Sequence[TreeNodes], base: Any) -> TreeEnsembleAttributes:
    targets = {"n_targets": len(base), "base_values": np.asarray(base, dtype=float).tolist()}
    return (
        _node_attributes(trees) | _leaf_attributes(trees) | targets | {"aggregate_function": "SUM"}
    )


def _node_attributes(trees: Sequence[TreeNodes]) -> dict[str, list[Any]]:
    sizes = [len(tree.is_leaf) for tree in trees]
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])

    def of_branches(values: list[Any]) -> Any:
        return np.where(is_leaf, 0, np.concatenate(values))

    return {
        "nodes_treeids": _as_ints(np.repeat(np.arange(len(trees)), sizes)),
        "nodes_nodeids": _as_ints(np.concatenate([np.arange(size) for size in sizes])),
        "nodes_featureids": _as_ints(of_branches([tree.feature for tree in trees])),
        "nodes_values": of_branches(
            [round_down_to_float32(tree.threshold) for tree in trees]
        ).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        "nodes_truenodeids": _as_ints(of_branches([tree.left_child for tree in trees])),
        "nodes_falsenodeids": _as_ints(of_branches([tree.right_child for tree in trees])),
        "nodes_missing_value_tracks_true": [0] * len(is_leaf),  # Encoded rows have no gaps.
    }


def _leaf_attributes(trees: Sequence[TreeNodes]) -> dict[str, list[Any]]:
    tree_ids, node_ids, targets, weights = [], [], [], []
    for tree_id, tree in enumerate(trees):
        leaves, count = np.flatnonzero(tree.is_leaf), tree.values.shape[1]
        tree_ids.append(np.full(len(leaves) * count, tree_id))
        node_ids.append(np.repeat(leaves, count))
        targets.append(np.tile(np.arange(count) + tree.first_target, len(leaves)))
        weights.append(tree.values[leaves].ravel())
    return {
        "target_treeids": _as_ints(np.concatenate(tree_ids)),
        "target_nodeids": _as_ints(np.concatenate(node_ids)),
        "target_ids": _as_ints(np.concatenate(targets)),
        "target_weights": np.concatenate(weights).astype(float).tolist(),
    }


def _as_ints(values: Any) -> list[int]:
    return [int(value) for value in values]


def round_down_to_float32(values: Any) -> Any:
    """The largest float32 not above each value."""
    exact = np.asarray(values, dtype=np.float64)
    nearest = exact.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > exact, below, nearest)
