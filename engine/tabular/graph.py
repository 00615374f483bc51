"""The chosen models as one ONNX graph: their outputs' mean, from the encoded features.

Boosted trees become a TreeEnsembleRegressor (ai.onnx.ml), written here from scikit-learn's own
arrays: the converters there are do not work with this version of onnx. Thresholds are rounded down
to float32, which decides every comparison with a float32 input as before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.tabular.members import Forest, Linear

INPUT, OUTPUT = "features", "logits"
OPSET, TREES_OPSET = 17, 3


@dataclass
class GraphParts:
    """Nodes and constants gathered so far, and the outputs to be averaged."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def add_network(self, model: onnx.ModelProto) -> None:
        """A torch export with the same input; its names are its own."""
        graph = onnx.compose.add_prefix_graph(model.graph, "network/")
        self.nodes.append(helper.make_node("Identity", [INPUT], [graph.input[0].name]))
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        self.outputs.append(graph.output[0].name)

    def add_linear(self, member: Linear) -> None:
        weights = self.constant("linear/weights", member.weights)
        bias = self.constant("linear/bias", member.bias)
        inputs = [INPUT, weights, bias]
        self.nodes.append(helper.make_node("Gemm", inputs, ["linear/out"], transB=1))
        self.outputs.append("linear/out")

    def add_forest(self, member: Forest) -> None:
        attributes = _tree_attributes(member)
        node = helper.make_node(
            "TreeEnsembleRegressor", [INPUT], ["trees/raw"], domain="ai.onnx.ml", **attributes
        )
        self.nodes.append(node)
        if member.outputs_count != 2:
            self.outputs.append("trees/raw")
            return
        # Of two labels the trees score the second; the first's logit is 0.
        sides = self.constant("trees/sides", [[0.0, 1.0]])
        self.nodes.append(helper.make_node("MatMul", ["trees/raw", sides], ["trees/out"]))
        self.outputs.append("trees/out")

    def save(self, path: Path, width: int, outputs: int) -> None:
        self.nodes.append(helper.make_node("Mean", self.outputs, [OUTPUT]))
        graph = helper.make_graph(
            self.nodes,
            "table",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", width])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", outputs])],
            self.constants,
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))


def _tree_attributes(member: Forest) -> dict[str, Any]:
    """All trees of all models, and the mean of the models' starting points."""
    outputs = 1 if member.outputs_count == 2 else member.outputs_count
    tables: list[tuple[int, Any]] = []
    for model in member.models:
        for trees in model._predictors:  # One round; scikit-learn offers no public way in.
            tables.extend((place, tree.nodes) for place, tree in enumerate(trees))
    starts = [
        np.broadcast_to(np.ravel(model._baseline_prediction), outputs) for model in member.models
    ]
    attributes = _nodes_of([nodes for _, nodes in tables])
    attributes |= _leaves_of(tables, share=1 / len(member.models))
    base = np.mean(starts, axis=0).astype(float).tolist()
    return attributes | {"n_targets": outputs, "base_values": base, "aggregate_function": "SUM"}


def _nodes_of(tables: Sequence[Any]) -> dict[str, list[Any]]:
    nodes = np.concatenate(tables)
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "nodes_treeids": _numbers(np.repeat(np.arange(len(tables)), [len(one) for one in tables])),
        "nodes_nodeids": _numbers(np.concatenate([np.arange(len(one)) for one in tables])),
        "nodes_featureids": _numbers(np.where(is_leaf, 0, nodes["feature_idx"])),
        "nodes_values": np.where(is_leaf, 0, rounded_down(nodes["num_threshold"])).tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        "nodes_truenodeids": _numbers(np.where(is_leaf, 0, nodes["left"])),
        "nodes_falsenodeids": _numbers(np.where(is_leaf, 0, nodes["right"])),
        "nodes_missing_value_tracks_true": [0] * len(nodes),  # Encoded rows have no gaps.
    }


def _leaves_of(tables: Sequence[tuple[int, Any]], share: float) -> dict[str, list[Any]]:
    trees, places, targets, weights = [], [], [], []
    for number, (target, nodes) in enumerate(tables):
        leaves = np.flatnonzero(nodes["is_leaf"])
        trees.append(np.full(len(leaves), number))
        places.append(leaves)
        targets.append(np.full(len(leaves), target))
        weights.append(nodes["value"][leaves] * share)
    return {
        "target_treeids": _numbers(np.concatenate(trees)),
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
