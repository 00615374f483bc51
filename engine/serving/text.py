"""Answers with an exported text model. Only onnxruntime, tokenizers and numpy, loaded late."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifact import Manifest, read_manifest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Probabilities = npt.NDArray[np.float32]

EVALUATION_BATCH_TOKENS = 1024
LONGEST_INPUT = 512  # Where the manifest names none.


class TextClassifier:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.max_length = self.manifest.inputs.max_length or LONGEST_INPUT
        serving = self.manifest.serving
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # The file was optimised when it was exported; doing it again would triple the load time.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Several sessions share a machine: a waiting thread must not burn a core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(Path(folder) / serving.file), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / serving.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)

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

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut to the model's longest input. Blank ends are ignored."""
        stripped = [text.strip() for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(stripped)]

    def token_counts(self, encoded: Sequence[Sequence[int]]) -> list[int]:
        """How many tokens of each text the model reads; what is metered."""
        return [len(ids) for ids in encoded]

    def predict(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        """Probabilities (rows, labels), float32, rows summing to one. One padded batch."""
        import numpy as np

        logits = self.logits(encoded)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        return probabilities

    def logits(self, encoded: Sequence[Sequence[int]]) -> "Probabilities":
        import numpy as np

        if not encoded:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
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


def predict_all(classifier: TextClassifier, encoded: Sequence[Sequence[int]]) -> "Probabilities":
    """Probabilities of any number of rows, in their order, batched by length."""
    import numpy as np

    from engine.batching import batches_by_length

    result = np.zeros((len(encoded), len(classifier.labels)), dtype=np.float32)
    lengths = [len(ids) for ids in encoded]
    for batch in batches_by_length(lengths, EVALUATION_BATCH_TOKENS):
        result[batch] = classifier.predict([encoded[row] for row in batch])
    return result
