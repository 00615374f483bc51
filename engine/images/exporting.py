"""ONNX files of picture models: float32, and int8 calibrated on training pictures.

Outlines and colours stay in float32: they are a millisecond's work, and their divisions would not
survive eight bits.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from engine.errors import BrokenExport
from engine.exporting import FLOAT_FILE, INT8_FILE, HeldOutRows, float_verdict, int8_verdict
from engine.images.answering import ROWS_AT_ONCE, AnsweringModel, Outputs, outputs_of
from engine.images.features import OutlinesAndColours
from engine.images.preprocessing import Pixels, as_input
from engine.onnx_files import fuse, silenced, write_onnx
from engine.serving.sessions import open_session

INPUT, OUTPUT = "pixels", "logits"
QUANTISED = ["Conv", "MatMul", "Gemm"]


def export(
    model: AnsweringModel,
    folder: Path,
    pixels: Pixels,
    rows: HeldOutRows,
    *,
    calibration: Pixels,
) -> tuple[str, dict[str, Any]]:
    """Write the files; returns the one to serve and each one's parity on held-out `pixels`.

    Raises BrokenExport when float32 does not answer as torch does.
    """
    path, reference = folder / FLOAT_FILE, outputs_of(model, pixels)
    write_onnx(model, as_input(pixels[:1]).shape[1:], path, input_name=INPUT, output_name=OUTPUT)
    kept_in_float = _frozen_nodes(model, path)
    parity = float_verdict(rows, reference, file_outputs(path, pixels))
    if not parity.accepted:
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" ({parity.reason}). Nothing was charged; please tell support."
        )
    verdicts: dict[str, Any] = {FLOAT_FILE: asdict(parity)}
    served = FLOAT_FILE
    if any(not _is_frozen(member.backbone) for member in model.members.values()):
        _quantise(path, folder / INT8_FILE, calibration, kept_in_float)
        small = int8_verdict(rows, reference, file_outputs(folder / INT8_FILE, pixels))
        verdicts[INT8_FILE] = asdict(small)
        served = INT8_FILE if small.accepted else FLOAT_FILE
    fuse(path)
    return served, verdicts | {"served": served}


def file_outputs(path: Path, pixels: Pixels) -> Outputs:
    session = open_session(path)
    parts = [
        session.run([OUTPUT], {INPUT: as_input(pixels[start : start + ROWS_AT_ONCE])})[0]
        for start in range(0, len(pixels), ROWS_AT_ONCE)
    ]
    outputs: Outputs = np.concatenate(parts)
    return outputs


def _is_frozen(backbone: Any) -> bool:
    return isinstance(backbone, OutlinesAndColours)


def _frozen_nodes(model: AnsweringModel, path: Path) -> list[str]:
    """Names of the nodes that members on outlines and colours became: tracing names nodes after
    the modules they come from."""
    frozen = [
        f"/members/{name}/" for name, one in model.members.items() if _is_frozen(one.backbone)
    ]
    nodes = onnx.load(str(path)).graph.node
    return [node.name for node in nodes if any(part in f"/{node.name}" for part in frozen)]


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: Pixels) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter(
            {INPUT: as_input(pixels[start : start + ROWS_AT_ONCE])}
            for start in range(0, len(pixels), ROWS_AT_ONCE)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _quantise(source: Path, target: Path, pixels: Pixels, kept_in_float: list[str]) -> None:
    with silenced():
        quantize_static(
            str(source),
            str(target),
            _Calibration(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            nodes_to_exclude=kept_in_float,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    fuse(target)
