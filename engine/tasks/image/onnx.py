"""ONNX files of image models: float32, and int8 calibrated on training images.

Handcrafted features stay in float32: they take a millisecond, and their divisions would lose too
much in eight bits.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from engine.errors import BrokenExport
from engine.export.onnx import optimize_graph, suppress_warnings, write_traced
from engine.export.parity import (
    FLOAT_FILE,
    INT8_FILE,
    HeldOutRows,
    check_float_parity,
    check_int8_parity,
)
from engine.loop.device import full_matmul_precision
from engine.serving.sessions import open_session
from engine.tasks.image.data.preprocessing import Pixels, to_network_input
from engine.tasks.image.ensemble import BATCH_ROWS, EnsembleModel, Outputs, compute_outputs
from engine.tasks.image.handcrafted_features import HandcraftedFeatures

INPUT, OUTPUT = "pixels", "logits"
QUANTIZED_OPS = ["Conv", "MatMul", "Gemm"]
Feed = dict[str, npt.NDArray[np.float32]]  # By input name.


def export_onnx(
    model: EnsembleModel,
    folder: Path,
    pixels: Pixels,
    rows: HeldOutRows,
    *,
    calibration: Pixels,
) -> tuple[str, dict[str, object]]:
    """Write the files; returns the one to serve and each one's parity on held-out `pixels`.

    Raises BrokenExport when float32 does not answer as torch does.
    """
    path = folder / FLOAT_FILE
    with full_matmul_precision():
        reference = compute_outputs(model, pixels)
    write_traced(
        model, to_network_input(pixels[:1]).shape[1:], path, input_name=INPUT, output_name=OUTPUT
    )
    kept_in_float = _handcrafted_nodes(model, path)
    parity = check_float_parity(rows, reference, onnx_outputs(path, pixels))
    if not parity.accepted:
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" ({parity.reason}). Nothing was charged; please tell support."
        )
    record: dict[str, object] = {FLOAT_FILE: asdict(parity)}
    served = FLOAT_FILE
    if not all(isinstance(one.backbone, HandcraftedFeatures) for one in model.members.values()):
        _quantize(path, folder / INT8_FILE, calibration, kept_in_float)
        small = check_int8_parity(rows, reference, onnx_outputs(folder / INT8_FILE, pixels))
        record[INT8_FILE] = asdict(small)
        served = INT8_FILE if small.accepted else FLOAT_FILE
    optimize_graph(path)
    return served, record | {"served": served}


def onnx_outputs(path: Path, pixels: Pixels) -> Outputs:
    session = open_session(path)
    parts = [
        session.run([OUTPUT], {INPUT: to_network_input(pixels[start : start + BATCH_ROWS])})[0]
        for start in range(0, len(pixels), BATCH_ROWS)
    ]
    outputs: Outputs = np.concatenate(parts)
    return outputs


def _handcrafted_nodes(model: EnsembleModel, path: Path) -> list[str]:
    """The nodes of members on handcrafted features, found by name: tracing names nodes after their
    modules."""
    frozen = [
        f"/members/{name}/"
        for name, member in model.members.items()
        if isinstance(member.backbone, HandcraftedFeatures)
    ]
    nodes = onnx.load(str(path)).graph.node
    return [node.name for node in nodes if any(part in f"/{node.name}" for part in frozen)]


class _CalibrationReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: Pixels) -> None:
        self._feeds: Iterator[Feed] = iter(
            {INPUT: to_network_input(pixels[start : start + BATCH_ROWS])}
            for start in range(0, len(pixels), BATCH_ROWS)
        )

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _quantize(source: Path, target: Path, pixels: Pixels, kept_in_float: list[str]) -> None:
    with suppress_warnings():
        quantize_static(
            str(source),
            str(target),
            _CalibrationReader(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED_OPS,
            nodes_to_exclude=kept_in_float,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    optimize_graph(target)
