"""Builds one ONNX graph of all members: the weighted mean of their outputs.

Trees become a TreeEnsembleRegressor (ai.onnx.ml), written from scikit-learn's own arrays: existing
converters do not work with this version of onnx. Thresholds are rounded down to float32, so that
every comparison with a float32 input has the same result.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.tasks.tabular.ensemble_members import BoostedTrees, Linear
from engine.tasks.tabular.extra_trees import ExtraTrees
from engine.tasks.tabular.onnx_trees import (
    TreeEnsembleAttributes,
    boosted_attributes,
    extra_trees_attributes,
)

INPUT, OUTPUT = "features", "logits"
OPSET, TREES_OPSET = 17, 3


@dataclass
class OnnxGraphBuilder:
    """Nodes and constants so far, and the weighted outputs to be summed."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def add_constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def add_node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def add_network(self, model: onnx.ModelProto, weight: float = 1.0) -> None:
        """A torch export with the same input; its names get a prefix."""
        graph = onnx.compose.add_prefix_graph(model.graph, "network/")
        self.add_node("Identity", [INPUT], graph.input[0].name)
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        self._add_weighted_output(graph.output[0].name, weight)

    def add_linear(self, member: Linear, weight: float = 1.0) -> None:
        weights = self.add_constant("linear/weights", member.weights)
        bias = self.add_constant("linear/bias", member.bias)
        self._add_weighted_output(
            self.add_node("Gemm", [INPUT, weights, bias], "linear/out", transB=1), weight
        )

    def add_boosted_trees(
        self, member: BoostedTrees, weight: float = 1.0, name: str = "trees"
    ) -> None:
        raw = self._add_tree_ensemble(f"{name}/raw", boosted_attributes(member))
        if member.outputs_count == 2:
            # Of two labels the trees score the second; the first's logit is 0.
            sides = self.add_constant(f"{name}/sides", [[0.0, 1.0]])
            raw = self.add_node("MatMul", [raw, sides], f"{name}/out")
        if (unit := member.log_target) is not None:
            mean = self.add_constant(f"{name}/mean", unit.mean)
            deviation = self.add_constant(f"{name}/deviation", unit.deviation)
            number = self.add_node("Exp", [raw], f"{name}/number")
            centred = self.add_node("Sub", [number, mean], f"{name}/centred")
            raw = self.add_node("Div", [centred, deviation], f"{name}/out")
        self._add_weighted_output(raw, weight)

    def add_extra_trees(self, member: ExtraTrees, weight: float = 1.0) -> None:
        raw = self._add_tree_ensemble("random/raw", extra_trees_attributes(member))
        if member.outputs_count > 1:
            raw = self.add_node("Log", [raw], "random/out")
        self._add_weighted_output(raw, weight)

    def _add_tree_ensemble(self, output: str, attributes: TreeEnsembleAttributes) -> str:
        return self.add_node(
            "TreeEnsembleRegressor", [INPUT], output, domain="ai.onnx.ml", **attributes
        )

    def _add_weighted_output(self, output: str, weight: float) -> None:
        factor = self.add_constant(f"{output}/share", weight)
        self.outputs.append(self.add_node("Mul", [output, factor], f"{output}/counted"))

    def save(self, path: Path, width: int, outputs: int) -> None:
        self.nodes.append(helper.make_node("Sum", self.outputs, [OUTPUT]))
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
