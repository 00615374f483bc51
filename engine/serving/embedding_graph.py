"""A text model's ONNX graph cut before its last layer: what is left computes embeddings.

Needs onnx, which is loaded only when embeddings are first asked for.
"""

from collections import deque
from pathlib import Path
from typing import Any

from engine.errors import BrokenArtifact
from engine.serving.sessions import session_options

# Of ONNX, and those that onnxruntime fuses with what stands around them.
PRODUCTS = (
    "Gemm",
    "MatMul",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "FusedMatMul",
    "FusedGemm",
)


def open_embedding_session(path: Path, output: str, threads: int = 1) -> tuple[Any, str]:
    """A session of this file, and the name of the output that holds embeddings (rows, hidden).

    `output` is the file's own output, (rows, labels). Raises BrokenArtifact for a graph that does
    not end in a linear layer.
    """
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    embedding = find_last_layer_input(model.graph, output)
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(embedding, onnx.TensorProto.FLOAT, None)
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
    )
    return session, embedding


def find_last_layer_input(graph: Any, output: str) -> str:
    """What the matrix product nearest to the output multiplies, before it was quantised."""
    producers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    waiting, seen = deque([output]), {output}
    while waiting:
        node = producers.get(waiting.popleft())
        if node is None:
            continue
        if node.op_type in PRODUCTS and node.input[1] in constants:
            found = str(node.input[0])
            source = producers.get(found)
            if source is not None and source.op_type == "DynamicQuantizeLinear":
                return str(source.input[0])
            return found
        for name in node.input:
            if name not in seen and name not in constants:
                seen.add(name)
                waiting.append(name)
    raise BrokenArtifact("This model does not end in a linear layer: it has no embeddings.")
