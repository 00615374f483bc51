"""A base model's frozen encoder as ONNX files, made once on a machine and kept for later jobs.

On processors int8 embeds rows half as quickly again as torch in bfloat16. And a model that is the
frozen encoder with a linear layer needs no exporter: the layer is added to the files kept here.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from engine.checkpoints import fingerprint
from engine.network import TextNetwork
from engine.onnx_files import TEXT_INPUTS, fuse, quantise, write_text_traced
from engine.serving.sessions import open_session

FLOAT_FILE, INT8_FILE = "encoder.onnx", "encoder.int8.onnx"
EMBEDDING, UNIT = "embedding", "unit_embedding"
FORMAT = 1  # Of what is kept; another one is made anew.
MAKERS = ("torch", "transformers", "onnx", "onnxruntime")
SMALLEST_LIKENESS = 0.97  # Cosine to float32 below which int8 has lost too much of this encoder.
COMPARED_ROWS = 32
MAKING, LONGEST_MAKING_SECONDS = "making-", 3600


@dataclass(frozen=True)
class FrozenEncoder:
    """Both files of one base model, as `kept` leaves them."""

    folder: Path

    def embedder(self, threads: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Ids and mask (rows, tokens) to embeddings (rows, hidden) of unit length, by int8."""
        session = open_session(self.folder / INT8_FILE, threads)

        def embed(ids: Tensor, mask: Tensor) -> Tensor:
            feed = dict(zip(TEXT_INPUTS, (ids.numpy(), mask.numpy()), strict=True))
            (found,) = session.run([EMBEDDING], feed)
            return functional.normalize(torch.from_numpy(found), dim=-1)

        return embed

    def write(self, network: TextNetwork, float_path: Path, int8_path: Path) -> None:
        """The files of a network whose encoder is this one: only its linear layer is new."""
        _with_layer(self.folder / FLOAT_FILE, float_path, network)
        _with_layer(self.folder / INT8_FILE, int8_path, network)


def kept(network: TextNetwork, base_folder: Path) -> FrozenEncoder:
    """The files of this base model, made from `network`, whose encoder is still as loaded, if this
    machine has none yet. Raises whatever an exporter or a full disk raises."""
    root = cache_folder() / "encoders"
    of_base = fingerprint(str(base_folder.resolve()))[:16]
    folder = root / f"{of_base}-{_state_of(base_folder)}"
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        outdated = [*root.glob(f"{of_base}-*"), *_left_behind(root)]
        _make(network, folder)
        for one in outdated:
            shutil.rmtree(one, ignore_errors=True)
    return FrozenEncoder(folder)


def likeness(
    encoder: Callable[[Tensor, Tensor], Tensor], network: TextNetwork, ids: Tensor, mask: Tensor
) -> float:
    """Smallest cosine between the file's embeddings of these rows and torch's in float32."""
    network.eval()
    with torch.inference_mode():
        exact = functional.normalize(network.embed(ids, mask), dim=-1)
    return float((encoder(ids, mask) * exact).sum(dim=-1).min())


def cache_folder() -> Path:
    """LATHE_CACHE_DIR, or `lathe` where this user's caches are."""
    if own := os.environ.get("LATHE_CACHE_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lathe"


def _left_behind(root: Path) -> list[Path]:
    """By jobs that were killed while they made files."""
    long_ago = time.time() - LONGEST_MAKING_SECONDS
    return [one for one in root.glob(f"{MAKING}*") if one.stat().st_mtime < long_ago]


def _state_of(base_folder: Path) -> str:
    """Of the weights, and of all that turns them into files."""
    weights = sorted(base_folder.resolve().glob("*.safetensors"))
    stamps = [(one.name, one.stat().st_size, one.stat().st_mtime_ns) for one in weights]
    return fingerprint(stamps, [version(name) for name in MAKERS], FORMAT)[:16]


class _Embedder(nn.Module):
    """What is written: the encoder with its mean over tokens."""

    def __init__(self, network: TextNetwork) -> None:
        super().__init__()
        self._network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self._network.embed(input_ids, attention_mask)


def _make(network: TextNetwork, folder: Path) -> None:
    """Whole or not at all: two jobs may make the same at once, and either may be killed."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=MAKING) as place:
        building = Path(place) / "files"
        building.mkdir()
        normalise, network.normalise = network.normalise, False
        try:
            write_text_traced(_Embedder(network), building / FLOAT_FILE, EMBEDDING)
        finally:
            network.normalise = normalise
        fuse(building / FLOAT_FILE)
        quantise(building / FLOAT_FILE, building / INT8_FILE)
        try:
            building.rename(folder)
        except OSError:
            if not folder.is_dir():  # Nobody else was quicker.
                raise


def _with_layer(source: Path, target: Path, network: TextNetwork) -> None:
    model = onnx.load(str(source))
    graph, head, embedding = model.graph, network.head, EMBEDDING
    if network.normalise:
        graph.node.append(helper.make_node("LpNormalization", [EMBEDDING], [UNIT], axis=-1, p=2))
        embedding = UNIT
    for name, tensor in (("head.weight", head.weight), ("head.bias", head.bias)):
        values = tensor.detach().cpu().float().numpy()
        graph.initializer.append(numpy_helper.from_array(values, name))
    inputs = [embedding, "head.weight", "head.bias"]
    graph.node.append(helper.make_node("Gemm", inputs, ["logits"], transB=1))
    shape = ["rows", head.out_features]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))
    onnx.save(model, str(target))
