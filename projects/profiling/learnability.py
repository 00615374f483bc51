"""Estimates within two seconds how well a column can be predicted from others.

A ridge regression, cross-validated in two halves, on features that numpy computes quickly: numbers
by rank and in tenths, the common values of categories, and hashed character pairs and triples of
texts. It shows whether there is something to learn, not how good a trained model would be.
"""

import time
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from projects.profiling.profile import ColumnProfile
from projects.reading.columns.sql import quote_identifier

MAX_ROWS = 1200
MIN_ROWS = 40
MAX_COLUMNS = 60
MAX_CLASSES = 30  # The rest counts as one.
COMMON_VALUES = 20
HASHED_COLUMNS = 512
MAX_CHARACTERS = 300
BINS = 10
PENALTY = 5.0
TIME_LIMIT_SECONDS = 2.0
Floats = npt.NDArray[np.float64]


class LearnabilityProbe:
    """Measures columns of one table for at most TIME_LIMIT_SECONDS."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, rows: int) -> None:
        self._connection, self._table, self._rows = connection, table, rows
        self._cells: dict[str, list[Any]] = {}
        self._encoded: dict[tuple[str, bool], Floats] = {}
        self._left_seconds = TIME_LIMIT_SECONDS

    def skill(
        self, inputs: Sequence[ColumnProfile], texts: Sequence[str], target: ColumnProfile
    ) -> float | None:
        """How well `inputs` predict `target`, from 0 (no better than guessing) to 1 (no errors):
        R² of a quantity; for classes the accuracy above that of the most frequent one, as a share
        of what is possible. None for a table that is too small, and when the time is used up.
        `texts`: the names of the inputs that are free text."""
        started_at = time.monotonic()
        if self._rows < MIN_ROWS or self._left_seconds <= 0 or not inputs:
            return None
        chosen = list(inputs)[:MAX_COLUMNS]
        answers = self._read(target["name"])
        has_answer = np.array([answer is not None for answer in answers])
        if has_answer.sum() < MIN_ROWS:
            return None
        encoded = [self._encode(column, column["name"] in texts) for column in chosen]
        features = np.hstack(encoded)[has_answer]
        encoded_target = _encode_target(
            [answer for answer in answers if answer is not None], target
        )
        skill = _cross_validated_skill(features, encoded_target)
        self._left_seconds -= time.monotonic() - started_at
        return skill

    def _read(self, name: str) -> list[Any]:
        """A sample of the column's cells; the same rows for every column."""
        if name not in self._cells:
            step = max(1, self._rows // MAX_ROWS)
            rows = self._connection.execute(
                f"SELECT cell FROM (SELECT row_number() OVER () AS line,"
                f" {quote_identifier(name)} AS cell FROM {self._table})"
                f" WHERE line % {step} = 0 LIMIT {MAX_ROWS}"
            ).fetchall()
            self._cells[name] = [cell for (cell,) in rows]
        return self._cells[name]

    def _encode(self, column: ColumnProfile, is_text: bool) -> Floats:
        key = (column["name"], is_text)
        if key not in self._encoded:
            cells = self._read(column["name"])
            if is_text:
                self._encoded[key] = _hash_texts(cells)
            elif column["type"] in ("number", "integer"):
                self._encoded[key] = _bin_numbers(cells)
            else:
                common = [value for value, _ in Counter(cells).most_common(COMMON_VALUES)]
                self._encoded[key] = np.array(
                    [[cell == value for value in common] for cell in cells], dtype=float
                )
        return self._encoded[key]


def _hash_texts(cells: Sequence[Any]) -> Floats:
    features = np.zeros((len(cells), HASHED_COLUMNS))
    for row, cell in enumerate(cells):
        text = f" {str(cell or '').casefold()[:MAX_CHARACTERS]} "
        for length in (2, 3):
            for start in range(len(text) - length + 1):
                piece = text[start : start + length].encode()
                features[row, zlib.crc32(piece) % HASHED_COLUMNS] += 1
    features = np.log1p(features)
    lengths: Floats = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(4 * features / np.maximum(lengths, 1e-9))


def _bin_numbers(cells: Sequence[Any]) -> Floats:
    numbers = np.array([np.nan if cell is None else float(cell) for cell in cells])
    is_finite = np.isfinite(numbers)
    ranks = np.zeros(len(numbers))
    order = np.unique(numbers[is_finite], return_inverse=True)[1]
    ranks[is_finite] = order / max(1, order.max(initial=0))
    bins = np.minimum((ranks * BINS).astype(int), BINS - 1)
    marks = np.eye(BINS)[bins] * is_finite[:, None]
    return np.hstack(
        [(ranks - 0.5)[:, None] * is_finite[:, None] * 2, marks, ~is_finite[:, None] * 1.0]
    )


def _encode_target(cells: Sequence[Any], target: ColumnProfile) -> Floats:
    """A quantity as ranks from 0 to 1, shape (rows, 1), so that outliers have no more weight; or
    one column of zeros and ones for each class."""
    is_quantity = target["type"] in ("number", "integer") and target["unique"] > MAX_CLASSES
    if is_quantity:
        order = np.unique(np.array(cells, dtype=float), return_inverse=True)[1]
        return np.asarray((order / max(1, order.max()))[:, None])
    common = [value for value, _ in Counter(cells).most_common(MAX_CLASSES)]
    place = {value: number for number, value in enumerate(common)}
    return np.eye(len(common) + 1)[[place.get(cell, len(common)) for cell in cells]]


def _cross_validated_skill(features: Floats, target: Floats) -> float:
    order = np.random.default_rng(0).permutation(len(target))
    halves = np.array_split(order, 2)
    predicted = np.zeros_like(target)
    for train, held_out in (halves, halves[::-1]):
        mean = target[train].mean(0)
        design = np.hstack([features[train], np.ones((len(train), 1))])
        kernel = design @ design.T + PENALTY * np.eye(len(train))
        weights = design.T @ np.linalg.solve(kernel, target[train] - mean)
        predicted[held_out] = (
            np.hstack([features[held_out], np.ones((len(held_out), 1))]) @ weights + mean
        )
    if target.shape[1] == 1:
        spread = float(((target - target.mean()) ** 2).sum())
        error = float(((target - predicted) ** 2).sum())
        return max(0.0, 1 - error / spread) if spread else 0.0
    true = target.argmax(1)
    guess = float(target.mean(0).max())
    right = float((predicted.argmax(1) == true).mean())
    return max(0.0, (right - guess) / (1 - guess)) if guess < 1 else 0.0
