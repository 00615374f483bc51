"""Answers with an exported table model. Only onnxruntime and numpy, loaded late."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifact import Manifest, read_manifest
from engine.serving.sessions import open_session

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float32]


class TabularModel:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        from engine.tabular.encoding import TableEncoder

        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.encoder = TableEncoder(self.manifest.inputs.features)
        self._session = open_session(Path(folder) / self.manifest.serving.file, threads)

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Label and probabilities, or the number. Raises BadTrainingData naming a bad value."""
        outputs = self.predict(self.encode(rows))
        if self.manifest.target.kind == "number":
            return [{"value": float(value)} for value in outputs]
        return [
            {
                "label": self.labels[int(shares.argmax())],
                "probability": float(shares.max()),
                "probabilities": dict(zip(self.labels, shares.tolist(), strict=True)),
            }
            for shares in outputs
        ]

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> "Matrix":
        """Each row as the model reads it. Raises BadTrainingData naming a bad value."""
        return self.encoder.encode_rows(rows)

    def token_counts(self, encoded: "Sequence[Any] | Matrix") -> list[int]:
        """How many values of each row the model reads; what is metered."""
        return [len(self.encoder.features)] * len(encoded)

    def predict(self, encoded: "Sequence[Any] | Matrix") -> "npt.NDArray[np.float64]":
        """Probabilities (rows, labels), or numbers (rows,) in the target's own unit."""
        import numpy as np

        raw = self.outputs(encoded).astype(np.float64)
        target = self.manifest.target
        if target.kind == "number":
            return np.asarray(raw[:, 0] * target.deviation + target.mean)
        exponents = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))

    def outputs(self, encoded: "Sequence[Any] | Matrix") -> "Matrix":
        """What the file itself answers: logits, or the scaled number; (rows, outputs)."""
        import numpy as np

        matrix = np.asarray(encoded, dtype=np.float32)
        serving = self.manifest.serving
        (outputs,) = self._session.run([serving.output], {serving.inputs[0]: matrix})
        result: Matrix = outputs
        return result
