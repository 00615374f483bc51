"""A text network in the kernel's hands, opened from a model's folder."""

import ctypes
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.artifact import Serving, WeightSteps
from engine.errors import BrokenArtifact
from engine.serving.packed.library import Kernel, load_kernel
from engine.serving.packed.weights import PackedWeights, read_config

logger = logging.getLogger(__name__)

CHECKED_TOKENS = 12
MAX_CHECK_DIFFERENCE = 1e-3  # The same arithmetic by another compiler differs by rounding alone.
Outputs = npt.NDArray[np.float32]
TokenIds = Sequence[Sequence[int]]


class PackedEncoder:
    """Methods may be called from several threads at once."""

    def __init__(self, kernel: Kernel, weights: PackedWeights) -> None:
        self._encode, self._weights = kernel.library.packed_encode, weights
        self.weight_steps, self.size_bytes = weights.weight_steps, weights.size_bytes

    def outputs(self, encoded: TokenIds) -> Outputs:
        """(rows, outputs). Those of a row have the same bits whatever stands beside it."""
        return self._run(encoded)[1]

    def means(self, encoded: TokenIds) -> Outputs:
        """The mean of each row's token states: (rows, hidden)."""
        return self._run(encoded)[0]

    def check_outputs(self) -> list[float]:
        """The outputs for a row that every model can read, to tell whether another machine's kernel
        computes the same."""
        outputs: list[float] = self.outputs([range(CHECKED_TOKENS)])[0].tolist()
        return outputs

    def _run(self, encoded: TokenIds) -> tuple[Outputs, Outputs]:
        starts = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in encoded], out=starts[1:])
        ids = np.fromiter((one for row in encoded for one in row), np.int32, int(starts[-1]))
        means = np.empty((len(encoded), self._weights.hidden), dtype=np.float32)
        outputs = np.empty((len(encoded), self._weights.outputs), dtype=np.float32)
        status = self._encode(
            ctypes.byref(self._weights.struct),
            ids.ctypes.data,
            starts.ctypes.data,
            len(encoded),
            means.ctypes.data,
            outputs.ctypes.data,
        )
        if status == 1:
            raise MemoryError("The packed encoder finds no memory for these rows.")
        if status:
            raise BrokenArtifact("The tokenizer makes tokens that the network does not know.")
        return means, outputs


def open_packed_encoder(folder: Path, serving: Serving) -> PackedEncoder | None:
    """The model in this artifact folder, if it was tested with the kernel and the kernel computes
    here what it computed there. None: the ONNX file answers."""
    if serving.engine != "packed":
        return None
    if (encoder := pack_network(folder, serving.weight_steps)) is None:
        return None
    found = np.array(encoder.check_outputs())
    if found.shape == np.shape(serving.check) and np.allclose(
        found, serving.check, rtol=MAX_CHECK_DIFFERENCE, atol=MAX_CHECK_DIFFERENCE
    ):
        return encoder
    logger.warning("The packed encoder computes something else here for %s: not used", folder)
    return None


def pack_network(folder: Path, weight_steps: WeightSteps | None = None) -> PackedEncoder | None:
    """The network saved in this folder, its weights as fine as this machine's kernel computes them
    unless it is said how fine; None where the kernel cannot run, or computes no such network."""
    config = read_config(folder)
    if config is None or (kernel := load_kernel()) is None:
        return None
    weight_steps = weight_steps or kernel.computes[0]
    if weight_steps not in kernel.computes:
        return None
    return PackedEncoder(
        kernel, PackedWeights(folder, config, weight_steps, kernel.columns_at_once)
    )
