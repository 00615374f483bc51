"""Answers with an exported table model. Needs onnxruntime and numpy, not torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.artifact import Manifest, read_manifest
from engine.serving.answers import Answer, label_answers, number_answers, softmax
from engine.serving.sessions import open_session
from engine.tasks.tabular.encoder import Matrix, TableEncoder


class TabularModel:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.encoder = TableEncoder(self.manifest.inputs.features)
        self._session = open_session(Path(folder) / self.manifest.serving.file, threads)

    def answer(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Label and probabilities, or the number. Raises BadTrainingData naming a bad value."""
        predictions = self.predict(self.encode(rows))
        if self.manifest.target.kind == "number":
            return number_answers(predictions)
        return label_answers(self.labels, predictions)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> Matrix:
        """Each row as the model reads it. Raises BadTrainingData naming a bad value."""
        return self.encoder.encode_rows(rows)

    def token_counts(self, encoded: Sequence[Any] | Matrix) -> list[int]:
        """How many values of each row the model reads; what is metered."""
        return [len(self.encoder.features)] * len(encoded)

    def predict(self, encoded: Sequence[Any] | Matrix) -> npt.NDArray[np.float64]:
        """Probabilities (rows, labels), or numbers (rows,) in the target's own unit."""
        outputs = self.outputs(encoded).astype(np.float64)
        target = self.manifest.target
        if target.kind == "number":
            return np.asarray(outputs[:, 0] * target.deviation + target.mean)
        return softmax(outputs)

    def outputs(self, encoded: Sequence[Any] | Matrix) -> Matrix:
        """The file's own outputs: logits, or the scaled number; (rows, outputs)."""
        matrix = np.asarray(encoded, dtype=np.float32)
        serving = self.manifest.serving
        (outputs,) = self._session.run([serving.output], {serving.inputs[0]: matrix})
        return np.asarray(outputs)
