"""Writes ONNX files and proves that they compute what the trained network computes.

Float32 first; then int8 with dynamic quantisation per channel, served only when it agrees with
float32 on held-out rows. A float32 file that disagrees with torch ends the job: never serve it.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from engine.batching import batches_by_length
from engine.errors import BrokenExport
from engine.frozen_encoder import FrozenEncoder
from engine.network import TextNetwork
from engine.onnx_files import fuse, quantise, write_text_exported, write_text_traced

FLOAT_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
LARGEST_FLOAT_DIFFERENCE = 1e-2
LARGEST_QUALITY_LOSS = 0.01
SMALLEST_AGREEMENT = 0.97
BATCH_TOKENS = 1024
Outputs = npt.NDArray[np.float32]


class Judge(Protocol):
    """What makes two files' outputs the same answers, and how good answers are."""

    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Share of equal answers."""

    def quality(self, outputs: Outputs, rows: npt.NDArray[np.int64]) -> float:
        """One number in shares, higher is better: accuracy, micro F1 or R²."""


@dataclass(frozen=True)
class HeldOutRows:
    """Rows never trained on, for comparing files: token ids, and what the judge knows them by."""

    encoded: list[list[int]]
    rows: npt.NDArray[np.int64]
    judge: Judge


@dataclass(frozen=True)
class Parity:
    """One file against the torch network on the same held-out rows."""

    rows: int
    largest_logit_difference: float
    label_agreement: float
    accuracy_delta: float  # Quality of the file minus torch's, in shares: -0.01 is a point worse.
    accepted: bool
    reason: str


def export(
    network: TextNetwork, folder: Path, rows: HeldOutRows, frozen: FrozenEncoder | None = None
) -> tuple[str, dict[str, Any]]:
    """Write both files; returns the name of the one to serve and the parity of each.

    `frozen` holds the files of the network's encoder, where it was not trained.
    """
    reference = torch_logits(network, rows.encoded)
    float_parity = _from_frozen(frozen, network, folder, rows, reference) if frozen else None
    if float_parity is None:
        float_parity = _export_float(network, folder / FLOAT_FILE, rows, reference)
        quantise(folder / FLOAT_FILE, folder / INT8_FILE)
    int8_parity = int8_verdict(rows, reference, file_logits(folder / INT8_FILE, rows.encoded))
    served = INT8_FILE if int8_parity.accepted else FLOAT_FILE
    parity = {FLOAT_FILE: asdict(float_parity), INT8_FILE: asdict(int8_parity), "served": served}
    return served, parity


def _from_frozen(
    frozen: FrozenEncoder,
    network: TextNetwork,
    folder: Path,
    rows: HeldOutRows,
    reference: Outputs,
) -> Parity | None:
    """Files made of those kept; None where they turn out to be of another network, or not there."""
    with contextlib.suppress(Exception):  # Whatever reading a damaged file raises.
        frozen.write(network, folder / FLOAT_FILE, folder / INT8_FILE)
        parity = float_verdict(rows, reference, file_logits(folder / FLOAT_FILE, rows.encoded))
        return parity if parity.accepted else None
    return None


def _export_float(
    network: TextNetwork, path: Path, rows: HeldOutRows, reference: Outputs
) -> Parity:
    """The tracing exporter first: its graph fuses better and answers quicker. Then the newer."""
    problem = "no exporter ran"
    for write in (write_text_traced, write_text_exported):
        try:
            write(network, path)
            fuse(path)
            parity = float_verdict(rows, reference, file_logits(path, rows.encoded))
        except Exception as error:  # Exporters raise anything; the other one gets its turn.
            problem = f"{type(error).__name__}: {error}"
            continue
        if parity.accepted:
            return parity
        problem = parity.reason
    raise BrokenExport(
        f"The exported model does not compute what the trained model computes ({problem})."
        " Nothing was charged; please tell support."
    )


def float_verdict(rows: HeldOutRows, reference: Outputs, exported: Outputs) -> Parity:
    """Every logit must be equal but for rounding."""
    difference = _largest_difference(reference, exported)
    return _parity(
        rows,
        reference,
        exported,
        accepted=difference <= LARGEST_FLOAT_DIFFERENCE,
        rule=f"largest logit difference at most {LARGEST_FLOAT_DIFFERENCE}",
    )


def int8_verdict(rows: HeldOutRows, reference: Outputs, quantised: Outputs) -> Parity:
    """Answers must agree and their quality must hold; two rows may always differ."""
    count = max(1, len(rows.rows))
    agreement = rows.judge.agreement(reference, quantised)
    delta = _quality_delta(rows, reference, quantised)
    accepted = (
        agreement >= min(SMALLEST_AGREEMENT, 1 - 2 / count)
        and delta >= -max(LARGEST_QUALITY_LOSS, 2 / count)
        and bool(np.isfinite(quantised).all())
    )
    rule = (
        f"answers agree on at least {SMALLEST_AGREEMENT:.0%},"
        f" quality falls by {LARGEST_QUALITY_LOSS:.0%} at most"
    )
    return _parity(rows, reference, quantised, accepted=accepted, rule=rule)


def _parity(
    rows: HeldOutRows, reference: Outputs, exported: Outputs, *, accepted: bool, rule: str
) -> Parity:
    return Parity(
        rows=len(rows.rows),
        largest_logit_difference=_largest_difference(reference, exported),
        label_agreement=rows.judge.agreement(reference, exported),
        accuracy_delta=_quality_delta(rows, reference, exported),
        accepted=accepted,
        reason=f"{'kept' if accepted else 'refused'}: {rule}",
    )


def _largest_difference(reference: Outputs, exported: Outputs) -> float:
    if not np.isfinite(exported).all():
        return float(np.finfo(np.float32).max)
    return float(np.abs(reference - exported).max(initial=0.0))


def _quality_delta(rows: HeldOutRows, reference: Outputs, exported: Outputs) -> float:
    if not np.isfinite(exported).all():
        return -1.0
    judge = rows.judge
    return judge.quality(exported, rows.rows) - judge.quality(reference, rows.rows)


def torch_logits(network: TextNetwork, encoded: Sequence[Sequence[int]]) -> Outputs:
    """Float32 on the CPU, the reference every file is held against."""
    network.eval()

    def run(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Outputs:
        with torch.inference_mode():
            logits: Outputs = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            return logits

    return _in_batches(encoded, run)


def file_logits(path: Path, encoded: Sequence[Sequence[int]]) -> Outputs:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Outputs:
        logits: Outputs = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return _in_batches(encoded, run)


def _in_batches(
    encoded: Sequence[Sequence[int]],
    run: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Outputs],
) -> Outputs:
    parts: dict[int, Outputs] = {}
    for batch in batches_by_length([len(ids) for ids in encoded], BATCH_TOKENS):
        longest = max(len(encoded[row]) for row in batch)
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for position, row in enumerate(batch):
            ids[position, : len(encoded[row])] = encoded[row]
            mask[position, : len(encoded[row])] = 1
        parts |= dict(zip(batch.tolist(), run(ids, mask), strict=True))
    return np.stack([parts[row] for row in range(len(encoded))])
