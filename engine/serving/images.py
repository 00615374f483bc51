"""Answers with an exported image model. Needs onnxruntime, Pillow and numpy, not torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.artifact import Manifest, read_manifest
from engine.errors import BadTrainingData
from engine.serving.answers import Answer, label_answers, softmax
from engine.serving.sessions import is_scaled_by_batch, open_session
from engine.tasks.image.data.decoding import InvalidImage
from engine.tasks.image.data.preprocessing import Pixels, Preprocessing, to_network_input

BATCH_ROWS = 32
PATCH_SIZE = 16
Outputs = npt.NDArray[np.float32]


class ImageClassifier:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.image_transform = Preprocessing.model_validate(self.manifest.inputs.preprocessing)
        self._session = open_session(Path(folder) / self.manifest.serving.file, threads)

    def answer(self, rows: Sequence[bytes]) -> list[Answer]:
        """Label and probabilities of each encoded image. Raises BadTrainingData naming the first
        that cannot be decoded."""
        return label_answers(self.labels, softmax(self.outputs(self.encode(rows))))

    def encode(self, rows: Sequence[bytes]) -> Pixels:
        """(rows, side, side, 3), prepared as in training."""
        side = self.image_transform.side
        pixels = np.zeros((len(rows), side, side, 3), dtype=np.uint8)
        for index, content in enumerate(rows):
            try:
                pixels[index] = self.image_transform.pixels(content)
            except InvalidImage as problem:
                raise BadTrainingData(
                    "bad_picture", f"Picture {index + 1} cannot be looked at: {problem}."
                ) from problem
        return pixels

    def token_counts(self, encoded: Sequence[Any]) -> list[int]:
        """Patches of 16 by 16 pixels that the model reads of each image; what is metered."""
        return [max(1, self.image_transform.side // PATCH_SIZE) ** 2] * len(encoded)

    def outputs(self, pixels: npt.NDArray[Any] | Sequence[Any]) -> Outputs:
        """Logits (rows, labels) of prepared pixels: bytes, or floats from 0 to 1."""
        pixels = np.asarray(pixels)
        if not len(pixels):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        serving, parts = self.manifest.serving, []
        rows = 1 if is_scaled_by_batch(serving.file) else BATCH_ROWS
        for start in range(0, len(pixels), rows):
            batch = pixels[start : start + rows]
            if batch.dtype == np.uint8:
                inputs = to_network_input(batch)
            else:
                inputs = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), dtype=np.float32)
            parts.append(self._session.run([serving.output], {serving.inputs[0]: inputs})[0])
        return np.concatenate(parts)
