"""A base model's frozen encoder as ONNX files, made once on a machine and kept for later jobs,
and the embeddings that a frozen encoder computes.

On processors int8 embeds rows half as quickly again as torch in bfloat16. And a model that is the
frozen encoder with a linear layer needs no exporter: the layer is added to the files kept here.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from engine.export.onnx import TEXT_INPUTS, optimize_graph, quantize_to_int8, write_text_traced
from engine.export_packages import EXPORT_PACKAGES
from engine.loop.checkpoints import fingerprint
from engine.prediction_heads.interface import Outputs, Rows
from engine.serving.cache_folder import cache_folder, create_once
from engine.serving.sessions import open_session
from engine.tasks.text.network import TextNetwork

FLOAT_FILE, INT8_FILE = "encoder.onnx", "encoder.int8.onnx"
EMBEDDING_OUTPUT, UNIT_EMBEDDING_OUTPUT = "embedding", "unit_embedding"
CACHE_FORMAT = 1  # Of the files; those of another format are exported anew.
MIN_COSINE_SIMILARITY = 0.97  # To float32; below it int8 has lost too much of this encoder.
COMPARED_ROWS = 32


@dataclass(frozen=True)
class FrozenEncoder:
    """Both files of one base model, as `load_or_export` leaves them."""

    folder: Path

    def load_embedder(self, threads: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Ids and mask (rows, tokens) to embeddings (rows, hidden) of unit length, by int8."""
        session = open_session(self.folder / INT8_FILE, threads)

        def embed(ids: Tensor, mask: Tensor) -> Tensor:
            feed = dict(zip(TEXT_INPUTS, (ids.numpy(), mask.numpy()), strict=True))
            (embeddings,) = session.run([EMBEDDING_OUTPUT], feed)
            return functional.normalize(torch.from_numpy(embeddings), dim=-1)

        return embed

    def write_with_head(self, network: TextNetwork, float_path: Path, int8_path: Path) -> None:
        """The files of a network whose encoder is this one: only its linear layer is new."""
        _append_head(self.folder / FLOAT_FILE, float_path, network)
        _append_head(self.folder / INT8_FILE, int8_path, network)


class Features:
    """Unit-length embeddings of some rows by the encoder before training."""

    def __init__(self, rows: Rows, values: Outputs, frozen: FrozenEncoder | None = None) -> None:
        self.frozen = frozen  # The files that computed them; None: torch did.
        self._order = np.argsort(rows)
        self._rows, self._values = rows[self._order], values

    def contains_rows(self, rows: Rows) -> bool:
        return not len(self.missing_of(rows))

    def missing_of(self, rows: Rows) -> Rows:
        return np.setdiff1d(rows, self._rows)

    def joined(self, more: "Features") -> "Features":
        """With those of further rows."""
        values = np.concatenate([self._values[self._order], more._values[more._order]])
        return Features(np.concatenate([self._rows, more._rows]), values, self.frozen)

    def select_rows(self, rows: Rows) -> Outputs:
        return np.asarray(self._values[self._order[np.searchsorted(self._rows, rows)]])


def load_or_export(network: TextNetwork, base_folder: Path) -> FrozenEncoder:
    """The files of this base model, exported from `network`, whose encoder is still as loaded, if
    this machine has none yet. Raises whatever an exporter or a full disk raises."""
    root = cache_folder() / "encoders"
    base = fingerprint(str(base_folder.resolve()))[:16]
    # The weights' files, and all that turns them into ONNX.
    weights = sorted(base_folder.resolve().glob("*.safetensors"))
    stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weights]
    versions = [version(name) for name in EXPORT_PACKAGES]
    folder = root / f"{base}-{fingerprint(stamps, versions, CACHE_FORMAT)[:16]}"
    outdated = [] if folder.is_dir() else list(root.glob(f"{base}-*"))
    create_once(folder, partial(_export_encoder, network))
    for path in outdated:
        shutil.rmtree(path, ignore_errors=True)
    return FrozenEncoder(folder)


def cosine_similarity(
    encoder: Callable[[Tensor, Tensor], Tensor], network: TextNetwork, ids: Tensor, mask: Tensor
) -> float:
    """Smallest cosine between the file's embeddings of these rows and torch's in float32."""
    network.eval()
    with torch.inference_mode():
        exact = functional.normalize(network.embed(ids, mask), dim=-1)
    return float((encoder(ids, mask) * exact).sum(dim=-1).min())


class _Embedder(nn.Module):
    """The module that is exported: the encoder with its mean over tokens."""

    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        self._network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self._network.embed(input_ids, attention_mask)


def _export_encoder(network: TextNetwork, building: Path) -> None:
    normalise, network.normalise = network.normalise, False
    try:
        write_text_traced(_Embedder(network), building / FLOAT_FILE, EMBEDDING_OUTPUT)
    finally:
        network.normalise = normalise
    optimize_graph(building / FLOAT_FILE)
    quantize_to_int8(building / FLOAT_FILE, building / INT8_FILE)


def _append_head(source: Path, target: Path, network: TextNetwork) -> None:
    model = onnx.load(str(source))
    graph, head, embedding = model.graph, network.head, EMBEDDING_OUTPUT
    if network.normalise:
        graph.node.append(
            helper.make_node(
                "LpNormalization", [EMBEDDING_OUTPUT], [UNIT_EMBEDDING_OUTPUT], axis=-1, p=2
            )
        )
        embedding = UNIT_EMBEDDING_OUTPUT
    for name, tensor in (("head.weight", head.weight), ("head.bias", head.bias)):
        values = tensor.detach().cpu().float().numpy()
        graph.initializer.append(numpy_helper.from_array(values, name))
    inputs = [embedding, "head.weight", "head.bias"]
    graph.node.append(helper.make_node("Gemm", inputs, ["logits"], transB=1))
    shape = ["rows", head.out_features]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    onnx.save(model, str(target))
