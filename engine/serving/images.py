"""Answers with an exported picture model. Only onnxruntime, Pillow and numpy, loaded late."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.artifact import Manifest, read_manifest
from engine.errors import BadTrainingData
from engine.serving.sessions import open_session

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Outputs = npt.NDArray[np.float32]

ROWS_AT_ONCE = 32
PATCH = 16


class ImageClassifier:
    """One model in memory. All methods may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, manifest: Manifest | None = None) -> None:
        from engine.images.preprocessing import Preprocessing

        self.manifest = manifest or read_manifest(folder)
        self.labels = self.manifest.labels
        self.look = Preprocessing.model_validate(self.manifest.inputs.preprocessing)
        self._session = open_session(Path(folder) / self.manifest.serving.file, threads)

    def answer(self, rows: Sequence[bytes]) -> list[dict[str, Any]]:
        """Label and probabilities of each encoded picture. Raises BadTrainingData naming the
        first that cannot be looked at."""
        return [
            {
                "label": self.labels[int(shares.argmax())],
                "probability": float(shares.max()),
                "probabilities": dict(zip(self.labels, shares.tolist(), strict=True)),
            }
            for shares in self._shares(rows)
        ]

    def _shares(self, rows: Sequence[bytes]) -> "Outputs":
        import numpy as np

        logits = self.outputs(self.pixels(rows))
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Outputs = exponents / exponents.sum(axis=1, keepdims=True)
        return shares

    def encode(self, rows: Sequence[bytes]) -> "npt.NDArray[np.uint8]":
        """Each picture as the model looks at it; see `pixels`."""
        return self.pixels(rows)

    def token_counts(self, encoded: Sequence[Any]) -> list[int]:
        """Patches of 16 by 16 pixels that the model looks at in each picture; what is metered."""
        return [max(1, self.look.side // PATCH) ** 2] * len(encoded)

    def pixels(self, rows: Sequence[bytes]) -> "npt.NDArray[np.uint8]":
        """(rows, side, side, 3), prepared as in training."""
        import numpy as np

        from engine.images.decoding import NotAPicture

        found = np.zeros((len(rows), self.look.side, self.look.side, 3), dtype=np.uint8)
        for place, content in enumerate(rows):
            try:
                found[place] = self.look.pixels(content)
            except NotAPicture as problem:
                raise BadTrainingData(
                    "bad_picture", f"Picture {place + 1} cannot be looked at: {problem}."
                ) from problem
        return found

    def outputs(self, pixels: "npt.NDArray[Any] | Sequence[Any]") -> "Outputs":
        """Logits (rows, labels) of prepared pixels: bytes, or floats from 0 to 1."""
        import numpy as np

        from engine.images.preprocessing import as_input

        pixels = np.asarray(pixels)
        if not len(pixels):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        serving, parts = self.manifest.serving, []
        for start in range(0, len(pixels), ROWS_AT_ONCE):
            part = pixels[start : start + ROWS_AT_ONCE]
            if part.dtype == np.uint8:
                given = as_input(part)
            else:
                given = np.ascontiguousarray(part.transpose(0, 3, 1, 2), dtype=np.float32)
            parts.append(self._session.run([serving.output], {serving.inputs[0]: given})[0])
        result: Outputs = np.concatenate(parts)
        return result
