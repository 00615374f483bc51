"""What is evaluated: the test rows, and the models and baselines that predict them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.metrics.shapes import (
    GenerationPredictions,
    MulticlassPredictions,
    MultilabelPredictions,
    RegressionPredictions,
)

ModelPredictions = (
    MulticlassPredictions | MultilabelPredictions | RegressionPredictions | GenerationPredictions
)


@dataclass(frozen=True)
class Contender:
    """A model or baseline that the trained model is compared with, and its predictions.

    Known ids: majority, mean, tfidf, linear, boosted, base; `probe` is the same base model, frozen.
    """

    id: str
    name: str
    predictions: ModelPredictions
    note: str = ""


@dataclass(frozen=True)
class TestRows:
    """The test rows. `texts` are shown to people: a text, a file name, or "age=3, sex=f".

    `lengths` may be empty; `columns` holds further columns by which results are broken down.
    """

    texts: list[str]
    lengths: list[int]
    source_rows: list[int]  # Row numbers of the data file, from 0.
    label_names: list[str] = field(default_factory=list)
    columns: Mapping[str, list[Any]] = field(default_factory=dict)
    length_unit: str = "tokens"

    @property
    def keys(self) -> list[str]:
        """Hashes, by which rows are found again in another version of the data."""
        return [
            hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] for text in self.texts
        ]
