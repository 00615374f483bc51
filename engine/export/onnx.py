"""Writes ONNX files: traced or exported graphs, optimised for quick loading, quantised to int8."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from engine.errors import BrokenExport

OPSET, DYNAMO_OPSET = 17, 18
TEXT_INPUTS = ["input_ids", "attention_mask"]


def write_traced(
    network: nn.Module,
    shape: tuple[int, ...],
    path: Path,
    *,
    input_name: str,
    output_name: str = "logits",
) -> None:
    """Trace a network on two rows of this shape; the file takes any number of rows."""
    axes = {input_name: {0: "rows"}, output_name: {0: "rows"}}
    _export_by_tracing(network, (torch.zeros(2, *shape),), path, axes)


def write_text_traced(network: nn.Module, path: Path, output_name: str = "logits") -> None:
    """A network of token ids and mask, for any number of rows and tokens, by tracing."""
    axes = {name: {0: "rows", 1: "tokens"} for name in TEXT_INPUTS} | {output_name: {0: "rows"}}
    _export_by_tracing(network, _make_example_inputs(), path, axes)


def write_text_dynamo(network: nn.Module, path: Path, output_name: str = "logits") -> None:
    """The same by torch's newer exporter, for networks that cannot be traced."""
    rows, tokens = torch.export.Dim("rows"), torch.export.Dim("tokens")
    with suppress_warnings():
        program = torch.onnx.export(
            network.eval(),
            _make_example_inputs(),
            input_names=TEXT_INPUTS,
            output_names=[output_name],
            dynamic_shapes=({0: rows, 1: tokens}, {0: rows, 1: tokens}),
            opset_version=DYNAMO_OPSET,
            dynamo=True,
        )
    if program is None:
        raise BrokenExport("The exporter returned nothing.")
    model = program.model_proto
    # Wrong shape annotations of this exporter make quantisation fail.
    del model.graph.value_info[:]
    onnx.save(model, str(path))


def optimize_graph(path: Path) -> None:
    """Optimise the graph now, so that loading it later takes milliseconds.

    Extended, not all: the last level bakes in this processor's memory layouts.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path.with_suffix(".fused"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    path.with_suffix(".fused").replace(path)


def quantize_to_int8(source: Path, target: Path) -> None:
    """Weights to int8 by channel; activations are quantised dynamically."""
    with suppress_warnings():
        quantize_dynamic(
            str(source),
            str(target),
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Fused operators have no shape annotations; without a default their type is unknown.
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    # Fuses matrix products with the quantisation around them: a sixth quicker, equal results.
    optimize_graph(target)


def _export_by_tracing(
    network: nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    axes: dict[str, dict[int, str]],
) -> None:
    """The last of `axes` is of the output, the others are of the inputs in their order."""
    *inputs, output = axes
    # This exporter restores the outermost module's training flag, so eval() must be called on it.
    with suppress_warnings():
        torch.onnx.export(
            network.eval(),
            example,
            str(path),
            input_names=inputs,
            output_names=[output],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def _make_example_inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Two rows of different length, so that the exporter sees padding."""
    ids = torch.tensor([[2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 0, 0, 0, 0]])
    mask = torch.tensor([[1] * 7, [1, 1, 1, 0, 0, 0, 0]])
    return ids, mask


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Silences deprecation warnings of the exporters; the parity checks test their results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
