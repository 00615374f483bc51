"""Lays a saved text network out as the kernel reads it. The structs are those of encoder.c."""

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from engine.artifact import WeightSteps

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
SIZE_STEP = 64  # Sizes are its multiples.
DEPTH_AT_ONCE, ALIGNMENT = 4, 64
COMPUTED_KIND = ("bert", "gelu", "absolute")  # Model type, activation, positions.
HEAD_SIZES = (32, 64)
STEPS = 127  # Of a weight, on each side of 0.
MAX_SUM = (2**15 - 1) // 255  # Of "bounded" weights: times the highest byte it fits 16 bits.

Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]


class Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("weights", "scales", "bias", "sums")),
        *((name, ctypes.c_int64) for name in ("columns", "depth")),
    ]


class Layer(ctypes.Structure):
    _fields_ = [
        *((name, Linear) for name in ("qkv", "context", "up", "down")),
        *(
            (name, ctypes.c_void_p)
            for name in ("attention_norm", "attention_shift", "output_norm", "output_shift")
        ),
    ]


SIZES = ("layers", "hidden", "head_size", "inner", "words", "positions", "outputs", "normalise")
POINTERS = ("word", "position", "norm", "shift", "head", "head_bias", "layer")


class Encoder(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in SIZES),
        ("epsilon", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in POINTERS),
    ]


def read_config(folder: Path) -> dict[str, Any] | None:
    """The saved network's config if the kernel computes networks like it, else None. A base model,
    whose config is its encoder's, gets a layer on top that says nothing."""
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text())
    except (OSError, ValueError):
        return None
    if "encoder" not in config:
        config = {"encoder": config, "outputs": 1, "normalise": False}
    encoder = config["encoder"] or {}
    positions = encoder.get("position_embedding_type") or "absolute"
    kind = (encoder.get("model_type"), encoder.get("hidden_act"), positions)
    if kind != COMPUTED_KIND or encoder.get("is_decoder") or "heads" in config:
        return None
    hidden, heads = encoder["hidden_size"], encoder["num_attention_heads"]
    sizes = (hidden, encoder["intermediate_size"])
    fits = all(size % SIZE_STEP == 0 for size in sizes) and hidden // heads in HEAD_SIZES
    return config if fits else None


class PackedWeights:
    """One network's arrays, and the struct that points at them."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        weight_steps: WeightSteps,
        columns_at_once: int,
    ) -> None:
        self.weight_steps, self._columns_at_once = weight_steps, columns_at_once
        self.size_bytes = 0
        self._kept: list[Any] = []
        about = config["encoder"]
        tensors = _load_tensors(folder, about["hidden_size"])
        count = about["num_hidden_layers"]
        layers = (Layer * count)(*(self._layer(tensors, number) for number in range(count)))
        self._kept.append(layers)
        prefix = "encoder.embeddings."
        words = tensors[f"{prefix}word_embeddings.weight"]
        kinds = tensors[f"{prefix}token_type_embeddings.weight"]
        positions = tensors[f"{prefix}position_embeddings.weight"] + kinds[0]
        self.hidden, self.outputs = words.shape[1], config["outputs"]
        self.struct = Encoder(
            layers=count,
            hidden=self.hidden,
            head_size=self.hidden // about["num_attention_heads"],
            inner=about["intermediate_size"],
            words=len(words),
            positions=len(positions),
            outputs=self.outputs,
            normalise=config["normalise"],
            epsilon=about["layer_norm_eps"],
            word=self._keep(words, np.float16),
            position=self._keep(positions),
            norm=self._keep(tensors[f"{prefix}LayerNorm.weight"]),
            shift=self._keep(tensors[f"{prefix}LayerNorm.bias"]),
            head=self._keep(tensors["head.weight"]),
            head_bias=self._keep(tensors["head.bias"]),
            layer=ctypes.addressof(layers),
        )

    def _layer(self, tensors: Tensors, number: int) -> Layer:
        prefix = f"encoder.encoder.layer.{number}."

        def of(name: str) -> tuple[Array, Array]:
            return tensors[f"{prefix}{name}.weight"], tensors[f"{prefix}{name}.bias"]

        parts = [of(f"attention.self.{name}") for name in ("query", "key", "value")]
        qkv = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        norms = of("attention.output.LayerNorm") + of("output.LayerNorm")
        return Layer(
            self._linear(*qkv),
            self._linear(*of("attention.output.dense")),
            self._linear(*of("intermediate.dense")),
            self._linear(*of("output.dense")),
            *map(self._keep, norms),
        )

    def _linear(self, weights: Array, bias: Array) -> Linear:
        """Each output's weights in steps of their own, laid out in the order they are read."""
        columns, depth = weights.shape
        steps, scales = quantise(weights, self.weight_steps)
        blocks = steps.reshape(depth // DEPTH_AT_ONCE, DEPTH_AT_ONCE, -1, self._columns_at_once)
        return Linear(
            self._keep(blocks.transpose(2, 0, 3, 1), np.int8),
            self._keep(scales),
            self._keep(bias),
            self._keep(steps.sum(axis=0, dtype=np.int32), np.int32),
            columns,
            depth,
        )

    def _keep(self, values: Array, dtype: Any = np.float32) -> int:
        """The address of a copy that starts at a cache line and lives as long as this object."""
        size = values.size * np.dtype(dtype).itemsize
        memory = np.empty(size + ALIGNMENT, dtype=np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        memory[start : start + size].view(dtype)[:] = values.ravel()
        self._kept.append(memory)
        self.size_bytes += size
        return memory.ctypes.data + start


def _load_tensors(folder: Path, hidden: int) -> Tensors:
    """By the names that a saved text network gives them, also of a base model."""
    tensors: Tensors = load_file(str(folder / WEIGHTS_FILE))
    if "head.weight" in tensors:
        return tensors
    head = {"head.weight": np.zeros((1, hidden)), "head.bias": np.zeros(1)}
    return head | {
        f"encoder.{name.removeprefix('bert.')}": tensor for name, tensor in tensors.items()
    }


def quantise(weights: Array, weight_steps: WeightSteps) -> tuple[Array, Array]:
    """(outputs, depth) in steps of each output's own: (depth, outputs) of whole numbers, and what
    one step is.

    "bounded" makes the steps so long that the sums which the kernel for AVX2 adds in 16 bits fit
    them whatever the activations are, so that they are exact.
    """
    values = np.ascontiguousarray(weights.T)
    scales = np.maximum(np.abs(values).max(axis=0), 1e-12) / STEPS
    if weight_steps == "bounded":
        scales = np.maximum(scales, _largest_sums(values) / MAX_SUM)
    steps = np.rint(values / scales)
    # Rounding may have made a sum larger.
    while weight_steps == "bounded" and (excess := _largest_sums(steps) / MAX_SUM).max() > 1:
        large = excess > 1
        scales[large] *= excess[large]
        steps[:, large] = np.rint(values[:, large] / scales[large])
    return steps.astype(np.int8), scales


def _largest_sums(values: Array) -> Array:
    """For each output, the largest sum of positive, or of negative, weights that the kernel for
    AVX2 adds in the same 16 bits: the first or the second two of four neighbours, twice."""
    depth, outputs = values.shape
    added = values.reshape(depth // 8, 2, 2, 2, outputs)
    # Positive ones sum up to half of this plus the plain sum, negative ones to half of it minus.
    magnitudes = np.abs(added).sum(axis=(1, 3))
    largest: Array = (magnitudes + np.abs(added.sum(axis=(1, 3)))).max(axis=(0, 1)) / 2
    return largest
