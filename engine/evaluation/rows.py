"""What is evaluated: the rows asked, and who answered them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.metrics.shapes import Answers, Generations, LabelSets, Numbers

Given = Answers | LabelSets | Numbers | Generations


@dataclass(frozen=True)
class Contender:
    """Something tuning is compared with, and its answers on the same rows.

    Known ids: majority, mean, tfidf, linear, boosted, base; `probe` is the same base model, frozen.
    """

    id: str
    name: str
    answers: Given
    note: str = ""


@dataclass(frozen=True)
class TestRows:
    """What was asked. `texts` are shown to people: a text, a file name, or "age=3, sex=f".

    `lengths` may be empty; `columns` are values of further columns to break the results down by.
    """

    texts: list[str]
    lengths: list[int]
    source_rows: list[int]  # Row numbers of the data file, from 0.
    label_names: list[str] = field(default_factory=list)
    columns: Mapping[str, list[Any]] = field(default_factory=dict)
    length_unit: str = "tokens"

    @property
    def keys(self) -> list[str]:
        return content_keys(self.texts)


def content_keys(texts: Iterable[str]) -> list[str]:
    """What finds the same row again in another version of the data: a hash of what was asked."""
    return [hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16] for text in texts]
