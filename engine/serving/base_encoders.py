"""Base models as encoders: in float32 by the file that a machine exported once, or in int8 by the
packed kernel, which takes a fifth of the time.

torch takes seconds to load and is needed for the export only, so each export leaves a note of its
files under the packages' versions, and later processes open them by the note.
"""

import json
import logging
import os
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError

from engine.encoder_precision import EncoderPrecision
from engine.export_packages import EXPORT_PACKAGES
from engine.serving.cache_folder import cache_folder
from engine.serving.embeddings import (
    ComputeMeans,
    Embeddings,
    TextEmbedder,
    compute_row_by_row,
    load_whole_tokenizer,
)
from engine.serving.packed.encoder import PackedEncoder, pack_network
from engine.serving.sessions import open_session
from engine.serving.text import TokenIds

logger = logging.getLogger(__name__)

MIN_COSINE_SIMILARITY = 0.99  # Of int8 to float32, of each checked text; measured .995 and more.
CHECKED_TEXTS = (
    "Where is my order?",
    "The last invoice shows an amount that I do not recognise: 1,250.00 USD.",
    "我的订单什么时候到？",
)
TOKENS_AT_ONCE = 2048  # Of int8: the kernel's memory grows with them.


class ExportedEncoder(BaseModel):
    """Where the files of an exported base model are, and how they are fed."""

    model: Path
    tokenizer: Path
    inputs: list[str]
    output: str
    max_length: int  # In tokens.
    versions: list[str]  # Of EXPORT_PACKAGES, in their order.
    checks: list[list[float]] = []  # The embeddings of CHECKED_TEXTS in float32.

    def open(self, threads: int = 1) -> TextEmbedder:
        session = open_session(self.model, threads)
        compute = compute_row_by_row(session, self.output, self.inputs)
        return TextEmbedder(compute, load_whole_tokenizer(self.tokenizer), self.max_length)


def open_base_embedder(
    model_id: str, threads: int = 1, precision: EncoderPrecision = "float32"
) -> TextEmbedder:
    """The catalog's base model as an encoder; exported first if need be. Where int8 cannot be
    computed, or strays from float32, float32 answers.

    Raises BaseModelUnavailable when its files cannot be had, or UnknownBaseModel.
    """
    files = _read_note(model_id) or _export(model_id)
    packed = _open_packed(model_id, files) if precision == "int8" else None
    return packed or files.open(threads)


def _open_packed(model_id: str, files: ExportedEncoder) -> TextEmbedder | None:
    """Weights as every processor's kernel computes them: an index that one machine made is asked
    on another."""
    try:
        network = pack_network(files.tokenizer.parent, "bounded")
    except (OSError, KeyError, SafetensorError, TypeError) as problem:
        logger.warning("%s cannot be packed: %s", model_id, problem)
        return None
    if network is None:
        return None
    tokenizer = load_whole_tokenizer(files.tokenizer)
    packed = TextEmbedder(_in_portions(network), tokenizer, files.max_length, network.size_bytes)
    similarities = (_embed_checked(packed) * np.array(files.checks)).sum(axis=1)
    if similarities.min() < MIN_COSINE_SIMILARITY:
        logger.warning("%s strays in int8 (%s): float32 answers", model_id, similarities)
        return None
    return packed


def _in_portions(network: PackedEncoder) -> ComputeMeans:
    def compute(encoded: TokenIds) -> Embeddings:
        sizes = np.cumsum([len(ids) for ids in encoded]) // TOKENS_AT_ONCE
        starts = [0, *(np.flatnonzero(np.diff(sizes)) + 1), len(encoded)]
        return np.concatenate(
            [network.means(encoded[start:end]) for start, end in pairwise(starts)]
        )

    return compute


def _embed_checked(embedder: TextEmbedder) -> Embeddings:
    return embedder.outputs(embedder.encode(CHECKED_TEXTS))


def _note_path(model_id: str) -> Path:
    return cache_folder() / "encoders" / f"{model_id}.json"


def _read_note(model_id: str) -> ExportedEncoder | None:
    try:
        noted = ExportedEncoder.model_validate_json(_note_path(model_id).read_text())
    except (OSError, ValidationError):
        return None
    is_current = noted.versions == [version(name) for name in EXPORT_PACKAGES]
    is_current = is_current and len(noted.checks) == len(CHECKED_TEXTS)
    has_files = noted.model.is_file() and noted.tokenizer.is_file()
    return noted if is_current and has_files else None


def _export(model_id: str) -> ExportedEncoder:
    """By name, because the module loads torch."""
    files: ExportedEncoder = import_module("engine.tasks.base_encoder").export_base_encoder(
        model_id
    )
    files.checks = _embed_checked(files.open()).tolist()
    draft = _note_path(model_id).with_suffix(f".{os.getpid()}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps(files.model_dump(mode="json")))
    draft.replace(_note_path(model_id))
    return files
