"""Sentences to unit-length vectors, by the very file that /v1/embeddings answers from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.answering.encoders import DEFAULT_ENCODER, with_prefix
from engine.encoder_precision import EncoderPrecision
from engine.serving.base_encoders import open_base_embedder


class SentenceEncoder:
    """One encoder in memory. Raises what `open_base_embedder` raises."""

    def __init__(
        self,
        model_id: str = DEFAULT_ENCODER,
        threads: int = 1,
        precision: EncoderPrecision = "int8",
    ) -> None:
        self._id, self._embedder = model_id, open_base_embedder(model_id, threads, precision)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(texts, dimensions), each row of length 1; long texts are cut."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        rows = [with_prefix(self._id, text) for text in texts]
        return self._embedder.outputs(self._embedder.encode(rows, cut=True))
