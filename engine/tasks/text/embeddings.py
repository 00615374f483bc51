"""Outputs of the network, and embeddings of its frozen encoder, for many rows."""

import contextlib
import copy
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine.data.batching import FORWARD_BATCH_LIMITS, Batch, length_sorted_batches
from engine.prediction_heads.interface import Outputs, Rows
from engine.tasks.text import frozen_encoder
from engine.tasks.text.frozen_encoder import (
    COMPARED_ROWS,
    MIN_COSINE_SIMILARITY,
    Features,
    FrozenEncoder,
)
from engine.tasks.text.network import TextNetwork
from engine.tasks.text.prepare import PreparedTexts

VALIDATION_BATCH_TOKENS = 2048
ONNX_BATCH_SHAPE = (1024, 64)  # Tokens and rows at which onnxruntime reads quickest.
MIN_TOKENS_FOR_ONNX = 20_000  # Fewer are embedded before the files could be exported.


def predict(
    prepared: PreparedTexts, network: TextNetwork, rows: Rows, check: Iterable[None] = ()
) -> Outputs:
    """Outputs (rows, outputs) of the network as it stands."""
    lengths = [len(prepared.rows.ids[row]) for row in rows]
    batches = length_sorted_batches(lengths, VALIDATION_BATCH_TOKENS)
    network.eval()
    with prepared.device.autocast():
        return _run_in_batches(prepared, rows, batches, network, check)


def embed(
    prepared: PreparedTexts, network: TextNetwork, rows: Rows, advance: Callable[[float], None]
) -> Features:
    """By a network that is not trained yet; an earlier trial's embeddings are used again."""
    rows = np.unique(rows)
    for features in prepared.embedding_cache:
        if features.contains_rows(rows):
            return features
    features = _embed(
        prepared, network, rows, _load_frozen_encoder(prepared, network, rows), advance
    )
    prepared.embedding_cache[:] = [features]
    return features


def embed_missing(
    prepared: PreparedTexts, network: TextNetwork, known: Features, rows: Rows
) -> Features:
    """`known` with those of these rows that it lacks, computed in the same way."""
    missing = known.missing_of(rows)
    features = known.joined(_embed(prepared, network, missing, known.frozen, lambda _: None))
    prepared.embedding_cache[:] = [features]
    return features


def _embed(
    prepared: PreparedTexts,
    network: TextNetwork,
    rows: Rows,
    frozen: FrozenEncoder | None,
    advance: Callable[[float], None],
) -> Features:
    embedder = _build_embedder(prepared, network, frozen)
    lengths = [len(prepared.rows.ids[row]) for row in rows]
    limits = ONNX_BATCH_SHAPE if frozen else FORWARD_BATCH_LIMITS
    batches = length_sorted_batches(lengths, *limits)
    ticks = _report_progress(advance, len(batches))
    return Features(rows, _run_in_batches(prepared, rows, batches, embedder, ticks), frozen)


def _load_frozen_encoder(
    prepared: PreparedTexts, network: TextNetwork, rows: Rows
) -> FrozenEncoder | None:
    """The base model's int8 files, on a processor, where there are enough rows and int8 is close
    to this encoder. The choice depends on the job alone, so that a resumed job makes the same."""
    exact = prepared.spec.hyperparameters.precision == "fp32"
    if prepared.device.name != "cpu" or prepared.base_folder is None or exact:
        return None
    if sum(len(prepared.rows.ids[row]) for row in rows) < MIN_TOKENS_FOR_ONNX:
        return None
    with contextlib.suppress(Exception):  # Of exporters and disks: torch embeds the rows then.
        encoder = frozen_encoder.load_or_export(network, prepared.base_folder)
        ids, mask = prepared.rows.padded(rows[:COMPARED_ROWS], "cpu")
        similarity = frozen_encoder.cosine_similarity(encoder.load_embedder(1), network, ids, mask)
        return encoder if similarity >= MIN_COSINE_SIMILARITY else None
    return None


def _build_embedder(
    prepared: PreparedTexts, network: TextNetwork, frozen: FrozenEncoder | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Where training multiplies in bfloat16, a copy of the network computes in it throughout:
    twice as quick as casting around every product."""
    if frozen is not None:
        return frozen.load_embedder(torch.get_num_threads())
    encoder = network
    if prepared.device.precision == "bf16":
        encoder = copy.deepcopy(network).to(torch.bfloat16)
    encoder.eval()
    return lambda ids, mask: functional.normalize(encoder.embed(ids, mask), dim=-1)


def _report_progress(advance: Callable[[float], None], batches: int) -> Iterable[None]:
    for done in range(batches):
        advance(0.9 * done / batches)  # The rest is fitting the probe.
        yield


def _run_in_batches(
    prepared: PreparedTexts,
    rows: Rows,
    batches: list[Batch],
    compute: Callable[[Tensor, Tensor], Tensor],
    check: Iterable[None],
) -> npt.NDArray[np.float32]:
    ticks = iter(check)
    results: dict[int, npt.NDArray[np.float32]] = {}
    for batch in batches:
        next(ticks, None)
        with torch.inference_mode():
            output = compute(*prepared.rows.padded(rows[batch], prepared.device.name))
        results.update(zip(batch.tolist(), output.float().cpu().numpy(), strict=True))
    return np.stack([results[position] for position in range(len(rows))])
