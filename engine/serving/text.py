"""Answers with an exported text model. Only onnxruntime, tokenizers and numpy, loaded late."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifact import Manifest, read_manifest
from engine.serving.sessions import open_session

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Probabilities = npt.NDArray[np.float32]

EVALUATION_BATCH_TOKENS = 1024
LONGEST_INPUT = 512  # Where the manifest names none.


class TextModel:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        from tokenizers import Tokenizer

        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.max_length = self.manifest.inputs.max_length or LONGEST_INPUT
        serving = self.manifest.serving
        self._session = open_session(Path(folder) / serving.file, threads)
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / serving.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut to the model's longest input. Blank ends are ignored."""
        stripped = [text.strip() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(stripped)]

    def token_counts(self, encoded: Sequence[Sequence[int]]) -> list[int]:
        """How many tokens of each text the model reads; what is metered."""
        return [len(ids) for ids in encoded]

    def predict(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """Outputs in the unit of answers: probabilities (rows, labels), or numbers (rows, 1)."""
        raise NotImplementedError

    def outputs(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """What the file computes, (rows, outputs), float32. One padded batch."""
        import numpy as np

        if not encoded:
            return np.zeros((0, max(1, len(self.labels))), dtype=np.float32)
        longest = max(1, *map(len, encoded)) if len(encoded) > 1 else max(1, len(encoded[0]))
        input_ids = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros((len(encoded), longest), dtype=np.int64)
        for row, ids in enumerate(encoded):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        serving = self.manifest.serving
        feed = dict(zip(serving.inputs, (input_ids, mask), strict=True))
        (logits,) = self._session.run([serving.output], feed)
        result: Probabilities = logits
        return result


class TextClassifier(TextModel):
    """One label for each text."""

    def predict(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """Probabilities (rows, labels), float32, rows summing to one. One padded batch."""
        import numpy as np

        logits = self.outputs(encoded)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        return probabilities

    def answer(self, rows: Sequence[str]) -> list[dict[str, Any]]:
        """Label, its probability and all probabilities of each text."""
        return [
            {
                "label": self.labels[int(shares.argmax())],
                "probability": float(shares.max()),
                "probabilities": dict(zip(self.labels, shares.tolist(), strict=True)),
            }
            for shares in predict_all(self, self.encode(rows))
        ]


class TextTagger(TextModel):
    """Any number of labels for each text: those whose probability reaches their threshold."""

    def predict(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """Probabilities (rows, labels), float32, each label on its own."""
        import numpy as np

        probabilities: Probabilities = np.reciprocal(1 + np.exp(-self.outputs(encoded)))
        return probabilities

    def answer(self, rows: Sequence[str]) -> list[dict[str, Any]]:
        """Labels, and all probabilities, of each text."""
        thresholds = self.manifest.target.thresholds or [0.5] * len(self.labels)
        answers = []
        for shares in predict_all(self, self.encode(rows)).tolist():
            pairs = list(zip(self.labels, shares, strict=True))
            given = [
                label
                for (label, share), least in zip(pairs, thresholds, strict=True)
                if share >= least
            ]
            answers.append({"labels": given, "probabilities": dict(pairs)})
        return answers


class TextRegressor(TextModel):
    """A number for each text, in the unit of the training data."""

    def predict(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """Numbers (rows, 1), float32."""
        target = self.manifest.target
        numbers: Probabilities = self.outputs(encoded) * target.deviation + target.mean
        return numbers

    def answer(self, rows: Sequence[str]) -> list[dict[str, Any]]:
        return [{"value": float(value)} for (value,) in predict_all(self, self.encode(rows))]


def open_model(folder: Path, threads: int = 1, manifest: Manifest | None = None) -> TextModel:
    """The text model in this folder, by what its target is."""
    known = manifest or read_manifest(folder)
    kinds = {"label": TextClassifier, "labels": TextTagger, "number": TextRegressor}
    return kinds[known.target.kind](folder, threads, known)


def predict_all(model: TextModel, encoded: Sequence[Sequence[int]]) -> "Probabilities":
    """Answers of `predict` for any number of rows, in their order, batched by length."""
    return _in_batches(model, encoded, model.predict)


def outputs_of_all(model: TextModel, encoded: Sequence[Sequence[int]]) -> "Probabilities":
    """The same of `outputs`."""
    return _in_batches(model, encoded, model.outputs)


def _in_batches(
    model: TextModel,
    encoded: Sequence[Sequence[int]],
    ask: Callable[[Sequence[Sequence[int]]], "Probabilities"],
) -> "Probabilities":
    import numpy as np

    from engine.batching import batches_by_length

    result = np.zeros((len(encoded), max(1, len(model.labels))), dtype=np.float32)
    lengths = [len(ids) for ids in encoded]
    for batch in batches_by_length(lengths, EVALUATION_BATCH_TOKENS):
        result[batch] = ask([encoded[row] for row in batch])
    return result
