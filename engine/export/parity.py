"""Writes ONNX files and checks on held-out rows that they compute what the network computes.

Float32 first; then int8 with dynamic quantisation per channel, served only if it agrees with the
network. A float32 file that does not agree ends the job: it must never be served. Where this
machine can, the packed encoder computes the saved network instead of a file, if it agrees too and
is quicker.
"""

import contextlib
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from engine.artifact import Serving
from engine.data.batching import length_sorted_batches
from engine.data.tokenization import pad_token_ids
from engine.errors import BrokenExport
from engine.export.onnx import (
    TEXT_INPUTS,
    optimize_graph,
    quantize_to_int8,
    write_text_dynamo,
    write_text_traced,
)
from engine.loop.device import full_matmul_precision
from engine.serving.packed.encoder import PackedEncoder, pack_network
from engine.serving.packed.weights import WEIGHTS_FILE
from engine.serving.sessions import open_session
from engine.tasks.text.contenders.ngrams import NgramModel
from engine.tasks.text.frozen_encoder import FrozenEncoder
from engine.tasks.text.network import TextNetwork

FLOAT_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
MAX_LOGIT_DIFFERENCE = 1e-2
MAX_QUALITY_LOSS = 0.01
MIN_AGREEMENT = 0.97
BATCH_TOKENS = 1024
# Of the packed encoder, whose steps are finer than those of int8 files.
PACKED_FILE, MIN_PACKED_AGREEMENT, MIN_SPEEDUP = WEIGHTS_FILE, 0.99, 1.15
TIMED_ROWS, TIMED_ROUNDS = 24, 5
Outputs = npt.NDArray[np.float32]
logger = logging.getLogger(__name__)


class ParityCriteria(Protocol):
    """When two files' outputs mean the same answers, and how good the answers are."""

    def agreement(self, one: Outputs, other: Outputs) -> float:
        """Share of equal answers."""

    def quality(self, outputs: Outputs, rows: npt.NDArray[np.int64]) -> float:
        """One number in shares, higher is better: accuracy, micro F1 or R²."""


@dataclass(frozen=True)
class HeldOutRows:
    """Rows never trained on: their token ids, and their numbers as the criteria take them."""

    token_ids: list[list[int]]
    rows: npt.NDArray[np.int64]
    criteria: ParityCriteria


@dataclass(frozen=True)
class Parity:
    """One file compared with the torch network on the same held-out rows."""

    rows: int
    largest_logit_difference: float
    label_agreement: float
    accuracy_delta: float  # Quality of the file minus torch's, in shares: -0.01 is a point worse.
    accepted: bool
    reason: str


def export_onnx(
    network: TextNetwork, folder: Path, rows: HeldOutRows, frozen: FrozenEncoder | None = None
) -> tuple[str, dict[str, Any]]:
    """Write both files; returns the name of the one to serve and the parity of each, and of the
    packed encoder if `folder` has the saved network.

    `frozen` has the exported files of an encoder that was not trained.
    """
    reference = torch_logits(network, rows.token_ids)
    float_parity = (
        _reuse_frozen_encoder(frozen, network, folder, rows, reference) if frozen else None
    )
    if float_parity is None:
        float_parity = _export_float_onnx(network, folder / FLOAT_FILE, rows, reference)
        quantize_to_int8(folder / FLOAT_FILE, folder / INT8_FILE)
    int8_parity = check_int8_parity(
        rows, reference, onnx_logits(folder / INT8_FILE, rows.token_ids)
    )
    served = INT8_FILE if int8_parity.accepted else FLOAT_FILE
    parity = {FLOAT_FILE: asdict(float_parity), INT8_FILE: asdict(int8_parity), "served": served}
    if packed := _check_packed(folder, served, rows, reference):
        parity |= {PACKED_FILE: packed} | ({"served": PACKED_FILE} if packed["accepted"] else {})
    return served, parity


def describe_serving(file: str, parity: dict[str, Any]) -> Serving:
    """How a model is served whose ONNX file is `file`, by the parity that `export_onnx` found."""
    if parity["served"] != PACKED_FILE:
        return Serving(file=file)
    packed = parity[PACKED_FILE]
    return Serving(
        file=file, engine="packed", weight_steps=packed["weight_steps"], check=packed["check"]
    )


def export_ngrams(model: NgramModel, folder: Path, rows: HeldOutRows) -> tuple[str, dict[str, Any]]:
    """The same for a linear model on n-grams, which is small enough to serve in float32."""
    model.save(folder)
    model.write_onnx(folder / FLOAT_FILE)
    reference = model.outputs(rows.token_ids)
    parity = check_float_parity(rows, reference, onnx_logits(folder / FLOAT_FILE, rows.token_ids))
    if not parity.accepted:
        raise BrokenExport(
            "The exported model does not compute what the trained model computes"
            f" ({parity.reason}). Nothing was charged; please tell support."
        )
    return FLOAT_FILE, {FLOAT_FILE: asdict(parity), "served": FLOAT_FILE}


def _reuse_frozen_encoder(
    frozen: FrozenEncoder,
    network: TextNetwork,
    folder: Path,
    rows: HeldOutRows,
    reference: Outputs,
) -> Parity | None:
    """Files made from the encoder's; None if those are missing or of another network."""
    with contextlib.suppress(Exception):  # Reading a damaged file raises anything.
        frozen.write_with_head(network, folder / FLOAT_FILE, folder / INT8_FILE)
        parity = check_float_parity(
            rows, reference, onnx_logits(folder / FLOAT_FILE, rows.token_ids)
        )
        return parity if parity.accepted else None
    return None


def _export_float_onnx(
    network: TextNetwork, path: Path, rows: HeldOutRows, reference: Outputs
) -> Parity:
    """The tracing exporter first, because its graph fuses better and is quicker; then the newer."""
    problem = "no exporter ran"
    for write in (write_text_traced, write_text_dynamo):
        try:
            write(network, path)
            optimize_graph(path)
            parity = check_float_parity(rows, reference, onnx_logits(path, rows.token_ids))
        except Exception as error:  # Exporters raise anything; then the other one is tried.
            problem = f"{type(error).__name__}: {error}"
            continue
        if parity.accepted:
            return parity
        problem = parity.reason
    raise BrokenExport(
        f"The exported model does not compute what the trained model computes ({problem})."
        " Nothing was charged; please tell support."
    )


def check_float_parity(rows: HeldOutRows, reference: Outputs, exported: Outputs) -> Parity:
    """Every logit must be equal except for rounding."""
    difference = _max_difference(reference, exported)
    return _make_parity(
        rows,
        reference,
        exported,
        accepted=difference <= MAX_LOGIT_DIFFERENCE,
        rule=f"largest logit difference at most {MAX_LOGIT_DIFFERENCE}",
    )


def check_int8_parity(rows: HeldOutRows, reference: Outputs, quantised: Outputs) -> Parity:
    """Answers must agree and their quality must hold; two rows may always differ."""
    count = max(1, len(rows.rows))
    agreement = rows.criteria.agreement(reference, quantised)
    delta = _quality_delta(rows, reference, quantised)
    accepted = (
        agreement >= min(MIN_AGREEMENT, 1 - 2 / count)
        and delta >= -max(MAX_QUALITY_LOSS, 2 / count)
        and bool(np.isfinite(quantised).all())
    )
    rule = (
        f"answers agree on at least {MIN_AGREEMENT:.0%},"
        f" quality falls by {MAX_QUALITY_LOSS:.0%} at most"
    )
    return _make_parity(rows, reference, quantised, accepted=accepted, rule=rule)


def _check_packed(
    folder: Path, file: str, rows: HeldOutRows, reference: Outputs
) -> dict[str, Any] | None:
    """Parity of the packed encoder, what its kernel must compute elsewhere, and how many times as
    quick it is as `file`. None where it cannot compute this network."""
    try:
        encoder = pack_network(folder)
        if encoder is None:
            return None
        starts = range(0, len(rows.token_ids), TIMED_ROWS)
        outputs = np.concatenate(
            [encoder.outputs(rows.token_ids[i : i + TIMED_ROWS]) for i in starts]
        )
        speedup = _measure_speedup(encoder, folder / file, rows.token_ids[:TIMED_ROWS])
    except Exception:  # The ONNX file is there: a kernel that fails must not end the job.
        logger.exception("The packed encoder was not tried")
        return None
    parity = check_packed_parity(rows, reference, outputs, file, speedup)
    return asdict(parity) | {
        "speedup": round(speedup, 2),
        "weight_steps": encoder.weight_steps,
        "check": encoder.check_outputs(),
    }


def check_packed_parity(
    rows: HeldOutRows, reference: Outputs, packed: Outputs, file: str, speedup: float
) -> Parity:
    """Nearly all answers must agree, or none of their quality be lost; and it must be worth it."""
    agreement = rows.criteria.agreement(reference, packed)
    is_as_good = agreement >= MIN_AGREEMENT and _quality_delta(rows, reference, packed) >= 0
    accepted = (
        bool(np.isfinite(packed).all())
        and (agreement >= MIN_PACKED_AGREEMENT or is_as_good)
        and speedup >= MIN_SPEEDUP
    )
    rule = (
        f"answers agree on at least {MIN_PACKED_AGREEMENT:.0%} or are right as often, and come"
        f" {speedup:.1f} times as quickly as from {file}, at least {MIN_SPEEDUP}"
    )
    return _make_parity(rows, reference, packed, accepted=accepted, rule=rule)


def _measure_speedup(encoder: PackedEncoder, path: Path, encoded: Sequence[Sequence[int]]) -> float:
    """Processor time of the ONNX file, in which each row is run alone as when it is served, over
    the packed encoder's. In turns, so that other load slows both."""
    session = open_session(path)
    feeds = [dict(zip(TEXT_INPUTS, pad_token_ids([ids]), strict=True)) for ids in encoded]
    ratios = []
    for _ in range(TIMED_ROUNDS):
        started = time.thread_time()
        for ids in encoded:
            encoder.outputs([ids])
        middle = time.thread_time()
        for feed in feeds:
            session.run(None, feed)
        ratios.append((time.thread_time() - middle) / max(middle - started, 1e-9))
    return statistics.median(ratios)


def _make_parity(
    rows: HeldOutRows, reference: Outputs, exported: Outputs, *, accepted: bool, rule: str
) -> Parity:
    return Parity(
        rows=len(rows.rows),
        largest_logit_difference=_max_difference(reference, exported),
        label_agreement=rows.criteria.agreement(reference, exported),
        accuracy_delta=_quality_delta(rows, reference, exported),
        accepted=accepted,
        reason=f"{'kept' if accepted else 'refused'}: {rule}",
    )


def _max_difference(reference: Outputs, exported: Outputs) -> float:
    if not np.isfinite(exported).all():
        return float(np.finfo(np.float32).max)
    return float(np.abs(reference - exported).max(initial=0.0))


def _quality_delta(rows: HeldOutRows, reference: Outputs, exported: Outputs) -> float:
    if not np.isfinite(exported).all():
        return -1.0
    criteria = rows.criteria
    return criteria.quality(exported, rows.rows) - criteria.quality(reference, rows.rows)


def torch_logits(network: TextNetwork, encoded: Sequence[Sequence[int]]) -> Outputs:
    """Float32 on the CPU, the reference for every file."""
    network.eval()

    def run(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Outputs:
        with torch.inference_mode(), full_matmul_precision():
            logits: Outputs = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
            return logits

    return _run_in_batches(encoded, run)


def onnx_logits(path: Path, encoded: Sequence[Sequence[int]]) -> Outputs:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Outputs:
        logits: Outputs = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
        return logits

    return _run_in_batches(encoded, run)


def _run_in_batches(
    encoded: Sequence[Sequence[int]],
    run: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], Outputs],
) -> Outputs:
    parts: dict[int, Outputs] = {}
    for batch in length_sorted_batches([len(ids) for ids in encoded], BATCH_TOKENS):
        ids, mask = pad_token_ids([encoded[row] for row in batch])
        parts |= dict(zip(batch.tolist(), run(ids, mask), strict=True))
    return np.stack([parts[row] for row in range(len(encoded))])
