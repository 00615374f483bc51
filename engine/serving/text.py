"""Answers with an exported text model. Needs onnxruntime, tokenizers and numpy, not torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from engine.artifact import Manifest, read_manifest
from engine.data.batching import length_sorted_batches
from engine.serving.answers import (
    Answer,
    label_answers,
    label_set_answers,
    number_answers,
    softmax,
)
from engine.serving.packed.encoder import open_packed_encoder
from engine.serving.sessions import is_scaled_by_batch, open_session

EVALUATION_BATCH_TOKENS = 1024
DEFAULT_MAX_LENGTH = 512  # Where the manifest names none.
DEFAULT_THRESHOLD = 0.5
Outputs = npt.NDArray[np.float32]
TokenIds = Sequence[Sequence[int]]


class TextModel:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.max_length = self.manifest.inputs.max_length or DEFAULT_MAX_LENGTH
        serving = self.manifest.serving
        self._packed = open_packed_encoder(Path(folder), serving)
        if self._packed is None:
            self._session = open_session(Path(folder) / serving.file, threads)
        self._runs_row_by_row = is_scaled_by_batch(serving.file)
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / serving.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)

    @property
    def engine(self) -> str:
        """What computes the outputs on this machine."""
        return "onnxruntime" if self._packed is None else "packed"

    @property
    def weights_bytes(self) -> int | None:
        """What the weights take in memory; None: as much as the served file."""
        return None if self._packed is None else self._packed.size_bytes

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut to the model's longest input. Blank ends are ignored."""
        stripped = [text.strip() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(stripped)]

    def token_counts(self, encoded: TokenIds) -> list[int]:
        """How many tokens of each text the model reads; what is metered."""
        return [len(ids) for ids in encoded]

    def outputs(self, encoded: TokenIds) -> Outputs:
        """The network's own outputs: (rows, outputs). Those of a row do not depend on its
        neighbours: int8 files compute each row alone, others in one padded batch."""
        if not encoded:
            return np.zeros((0, max(1, len(self.labels))), dtype=np.float32)
        if self._packed is not None:
            return self._packed.outputs(encoded)
        if self._runs_row_by_row:
            return np.concatenate([self._run_padded([ids]) for ids in encoded])
        return self._run_padded(encoded)

    def _run_padded(self, encoded: TokenIds) -> Outputs:
        longest = max(1, *map(len, encoded)) if len(encoded) > 1 else max(1, len(encoded[0]))
        input_ids = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.int64)
        for row, ids in enumerate(encoded):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        serving = self.manifest.serving
        feed = dict(zip(serving.inputs, (input_ids, mask), strict=True))
        (logits,) = self._session.run([serving.output], feed)
        return np.asarray(logits)

    def predict(self, encoded: TokenIds) -> Outputs:
        """Outputs in the unit of answers: probabilities (rows, labels), or numbers (rows, 1)."""
        raise NotImplementedError

    def answer(self, rows: Sequence[str]) -> list[Answer]:
        """One answer for each text."""
        raise NotImplementedError


class TextClassifier(TextModel):
    """One label for each text."""

    def predict(self, encoded: TokenIds) -> Outputs:
        return softmax(self.outputs(encoded))

    def answer(self, rows: Sequence[str]) -> list[Answer]:
        return label_answers(self.labels, predict_all(self, self.encode(rows)))


class TextMultiLabelClassifier(TextModel):
    """Any number of labels for each text: those whose probability reaches their threshold."""

    def predict(self, encoded: TokenIds) -> Outputs:
        """Probabilities (rows, labels), each label on its own."""
        return np.asarray(np.reciprocal(1 + np.exp(-self.outputs(encoded))))

    def answer(self, rows: Sequence[str]) -> list[Answer]:
        thresholds = self.manifest.target.thresholds or [DEFAULT_THRESHOLD] * len(self.labels)
        return label_set_answers(self.labels, predict_all(self, self.encode(rows)), thresholds)


class TextRegressor(TextModel):
    """A number for each text, in the unit of the training data."""

    def predict(self, encoded: TokenIds) -> Outputs:
        target = self.manifest.target
        return np.asarray(self.outputs(encoded) * target.deviation + target.mean)

    def answer(self, rows: Sequence[str]) -> list[Answer]:
        return number_answers(predict_all(self, self.encode(rows))[:, 0])


def open_model(folder: Path, threads: int = 1, manifest: Manifest | None = None) -> TextModel:
    """The text model in this folder, by the kind of its target."""
    manifest = manifest or read_manifest(folder)
    kinds = {"label": TextClassifier, "labels": TextMultiLabelClassifier, "number": TextRegressor}
    return kinds[manifest.target.kind](folder, threads, manifest)


def predict_all(model: TextModel, encoded: TokenIds) -> Outputs:
    """`predict` for any number of rows, in their order, batched by length."""
    return _run_in_batches(model, encoded, model.predict)


def compute_all_outputs(model: TextModel, encoded: TokenIds) -> Outputs:
    """`outputs` for any number of rows, in their order, batched by length."""
    return _run_in_batches(model, encoded, model.outputs)


def _run_in_batches(
    model: TextModel, encoded: TokenIds, compute: Callable[[TokenIds], Outputs]
) -> Outputs:
    result = np.zeros((len(encoded), max(1, len(model.labels))), dtype=np.float32)
    lengths = [len(ids) for ids in encoded]
    for batch in length_sorted_batches(lengths, EVALUATION_BATCH_TOKENS):
        result[batch] = compute([encoded[row] for row in batch])
    return result
