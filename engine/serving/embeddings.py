"""Embeddings by text models: the mean of the token states, scaled to length 1.

A tuned classifier's encoder embeds as it does for its own last layer. Each row is computed by
itself, so that its embedding depends on nothing but its text.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from engine.artifact import Manifest, read_manifest
from engine.errors import BadTrainingData, BrokenArtifact
from engine.serving.embedding_graph import open_embedding_session
from engine.serving.packed.encoder import open_packed_encoder
from engine.serving.text import DEFAULT_MAX_LENGTH, TokenIds

Embeddings = npt.NDArray[np.float32]


ComputeMeans = Callable[[TokenIds], Embeddings]  # (rows, hidden), each from its row alone.


class TextEmbedder:
    """One encoder in memory. Methods may be called from several threads at once."""

    def __init__(
        self,
        compute_means: ComputeMeans,
        tokenizer: Tokenizer,
        max_length: int,
        weights_bytes: int | None = None,
    ) -> None:
        self._compute_means, self._tokenizer = compute_means, tokenizer
        self.max_length = max_length
        self.weights_bytes = weights_bytes  # None: as much as the served file.

    def encode(self, texts: Sequence[str], *, cut: bool = False) -> list[list[int]]:
        """Token ids of each text.

        Raises BadTrainingData, numbering rows from 0, for one that cannot be read whole; texts are
        cut instead if `cut` says so.
        """
        tokenizer = self._cutting_tokenizer if cut else self._tokenizer
        stripped = [text.strip() for text in texts]
        encoded = [encoding.ids for encoding in tokenizer.encode_batch(stripped)]
        for number, ids in enumerate(encoded):
            if len(ids) > self.max_length:
                raise BadTrainingData(
                    "too_long",
                    f"Row {number} has {len(ids):,} tokens; this model reads at most"
                    f" {self.max_length:,}. Split the text.",
                )
        return encoded

    @cached_property
    def _cutting_tokenizer(self) -> Tokenizer:
        """Keeps a text's first tokens and those that end every text."""
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.enable_truncation(self.max_length)
        return tokenizer

    def token_counts(self, encoded: TokenIds) -> list[int]:
        return [len(ids) for ids in encoded]

    def outputs(self, encoded: TokenIds) -> Embeddings:
        """Embeddings (rows, hidden) of unit length."""
        means = self._compute_means(encoded)
        rows = [row / max(float(np.linalg.norm(row)), 1e-12) for row in means]
        return np.stack(rows).astype(np.float32)


def compute_row_by_row(session: Any, output: str, inputs: Sequence[str]) -> ComputeMeans:
    """By an ONNX file whose `output` holds embeddings (rows, hidden)."""

    def compute(encoded: TokenIds) -> Embeddings:
        rows = []
        for ids in encoded:
            tokens = np.array([ids], dtype=np.int64)
            feed = dict(zip(inputs, (tokens, np.ones_like(tokens)), strict=True))
            (row,) = session.run([output], feed)
            rows.append(row[0])
        return np.stack(rows)

    return compute


def open_embedder(folder: Path, threads: int = 1, manifest: Manifest | None = None) -> TextEmbedder:
    """The encoder of the text model in this artifact folder. Raises BrokenArtifact for others."""
    manifest = manifest or read_manifest(folder)
    serving = manifest.serving
    if manifest.inputs.kind != "text" or serving.format != "onnx":
        raise BrokenArtifact("Only models that read texts have embeddings.")
    tokenizer = load_whole_tokenizer(folder / serving.tokenizer)
    max_length = manifest.inputs.max_length or DEFAULT_MAX_LENGTH
    if (packed := open_packed_encoder(folder, serving)) is not None:
        return TextEmbedder(packed.means, tokenizer, max_length, packed.size_bytes)
    session, output = open_embedding_session(folder / serving.file, serving.output, threads)
    return TextEmbedder(compute_row_by_row(session, output, serving.inputs), tokenizer, max_length)


def load_whole_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer that neither pads nor cuts."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
