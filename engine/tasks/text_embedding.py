"""What the network, or its frozen encoder, makes of rows: outputs, and embeddings for the probe."""

import contextlib
import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from engine import frozen_encoder
from engine.batching import FORWARD_BATCH, Batch, batches_by_length
from engine.frozen_encoder import COMPARED_ROWS, SMALLEST_LIKENESS, FrozenEncoder
from engine.goals.outline import Outputs, Rows
from engine.network import TextNetwork
from engine.tasks.text_preparation import Prepared

VALIDATION_BATCH_TOKENS = 2048
FILE_BATCH = (1024, 64)  # Tokens and rows at which onnxruntime reads quickest.
TOKENS_WORTH_FILES = 20_000  # Fewer are embedded before the files could be made.


class Features:
    """Unit-length embeddings of some rows by the encoder as it was."""

    def __init__(self, rows: Rows, values: Outputs, frozen: FrozenEncoder | None = None) -> None:
        self.frozen = frozen  # What made them; None: torch.
        self._order = np.argsort(rows)
        self._rows, self._values = rows[self._order], values

    def has(self, rows: Rows) -> bool:
        return bool(np.isin(rows, self._rows).all())

    def of(self, rows: Rows) -> Outputs:
        chosen: Outputs = self._values[self._order[np.searchsorted(self._rows, rows)]]
        return chosen


def predict(
    prepared: Prepared, network: TextNetwork, rows: Rows, check: Iterable[None] = ()
) -> Outputs:
    """Outputs (rows, outputs) of the network as it stands."""
    lengths = [len(prepared.rows.ids[row]) for row in rows]
    batches = batches_by_length(lengths, VALIDATION_BATCH_TOKENS)
    network.eval()
    with prepared.device.autocast():
        return _in_batches(prepared, rows, batches, network, check)


def embed(
    prepared: Prepared, network: TextNetwork, rows: Rows, advance: Callable[[float], None]
) -> Features:
    """By a network that has learnt nothing yet; an earlier trial's embeddings are taken over."""
    unique = np.unique(rows)
    for known in prepared.embedded:
        if known.has(unique):
            found: Features = known
            return found
    frozen = _frozen(prepared, network, unique)
    reader, shape = _reader(prepared, network, frozen), FILE_BATCH if frozen else FORWARD_BATCH
    lengths = [len(prepared.rows.ids[row]) for row in unique]
    batches = batches_by_length(lengths, *shape)
    ticks = _advancing(advance, len(batches))
    values = _in_batches(prepared, unique, batches, reader, ticks)
    features = Features(unique, values, frozen)
    prepared.embedded[:] = [features]
    return features


def _frozen(prepared: Prepared, network: TextNetwork, rows: Rows) -> FrozenEncoder | None:
    """The base model's files, for a processor, where the rows are worth it and eight bits do to
    this encoder what they should. Which one reads a job's rows depends on the job alone."""
    exact = prepared.spec.hyperparameters.precision == "fp32"
    if prepared.device.name != "cpu" or prepared.base_folder is None or exact:
        return None
    if sum(len(prepared.rows.ids[row]) for row in rows) < TOKENS_WORTH_FILES:
        return None
    with contextlib.suppress(Exception):  # Of exporters and disks; torch reads the rows then.
        found = frozen_encoder.kept(network, prepared.base_folder)
        ids, mask = prepared.rows.padded(rows[:COMPARED_ROWS], "cpu")
        alike = frozen_encoder.likeness(found.embedder(1), network, ids, mask)
        return found if alike >= SMALLEST_LIKENESS else None
    return None


def _reader(
    prepared: Prepared, network: TextNetwork, frozen: FrozenEncoder | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Where training multiplies in bfloat16, a copy of the network computes in it throughout:
    twice as quick as casting around every product."""
    if frozen is not None:
        return frozen.embedder(torch.get_num_threads())
    reader = network
    if prepared.device.precision == "bf16":
        reader = copy.deepcopy(network).to(torch.bfloat16)
    reader.eval()
    return lambda ids, mask: functional.normalize(reader.embed(ids, mask), dim=-1)


def _advancing(advance: Callable[[float], None], batches: int) -> Iterable[None]:
    for done in range(batches):
        advance(0.9 * done / batches)  # The rest is fitting the probe.
        yield


def _in_batches(
    prepared: Prepared, rows: Rows, batches: list[Batch], compute: Any, check: Iterable[None]
) -> npt.NDArray[np.float32]:
    ticks = iter(check)
    results: dict[int, npt.NDArray[np.float32]] = {}
    for batch in batches:
        next(ticks, None)
        with torch.inference_mode():
            output = compute(*prepared.rows.padded(rows[batch], prepared.device.name))
        results.update(zip(batch.tolist(), output.float().cpu().numpy(), strict=True))
    return np.stack([results[position] for position in range(len(rows))])
