"""The chosen models as one ONNX graph: their outputs' weighted mean, from the encoded features.

Trees become a TreeEnsembleRegressor (ai.onnx.ml), written here from scikit-learn's own
arrays: the converters there are do not work with this version of onnx. Thresholds are rounded down
to float32, which decides every comparison with a float32 input as before.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.tabular.members import BoostedTrees, Linear
from engine.tabular.random_trees import RandomTrees
from engine.tabular.tree_arrays import boosted_attributes, random_attributes

INPUT, OUTPUT = "features", "logits"
OPSET, TREES_OPSET = 17, 3


@dataclass
class GraphParts:
    """Nodes and constants gathered so far, and the weighted outputs to be added up."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def add_network(self, model: onnx.ModelProto, share: float = 1.0) -> None:
        """A torch export with the same input; its names are its own."""
        graph = onnx.compose.add_prefix_graph(model.graph, "network/")
        self.node("Identity", [INPUT], graph.input[0].name)
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)
        self._count(graph.output[0].name, share)

    def add_linear(self, member: Linear, share: float = 1.0) -> None:
        weights = self.constant("linear/weights", member.weights)
        bias = self.constant("linear/bias", member.bias)
        self._count(self.node("Gemm", [INPUT, weights, bias], "linear/out", transB=1), share)

    def add_boosted(self, member: BoostedTrees, share: float = 1.0) -> None:
        raw = self._trees("trees/raw", boosted_attributes(member))
        if member.outputs_count == 2:
            # Of two labels the trees score the second; the first's logit is 0.
            sides = self.constant("trees/sides", [[0.0, 1.0]])
            raw = self.node("MatMul", [raw, sides], "trees/out")
        self._count(raw, share)

    def add_random_trees(self, member: RandomTrees, share: float = 1.0) -> None:
        raw = self._trees("random/raw", random_attributes(member))
        if member.outputs_count > 1:
            raw = self.node("Log", [raw], "random/out")
        self._count(raw, share)

    def _trees(self, output: str, attributes: dict[str, Any]) -> str:
        return self.node(
            "TreeEnsembleRegressor", [INPUT], output, domain="ai.onnx.ml", **attributes
        )

    def _count(self, output: str, share: float) -> None:
        factor = self.constant(f"{output}/share", share)
        self.outputs.append(self.node("Mul", [output, factor], f"{output}/counted"))

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
