"""Target cells as truth: one label, several labels, or a number for each row."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import BadTrainingData
from engine.label_cells import LabelSets, read_label_sets
from engine.spec import TextSpec

MOST_LABELS = 1000
NUMBER_BINS = 10  # Strata of numbers, so that each part of the split has small and large ones.


@dataclass(frozen=True)
class Truth:
    """`values`: label numbers (rows,), booleans (rows, labels), or numbers (rows,)."""

    kind: Literal["label", "labels", "number"]
    values: npt.NDArray[Any]
    names: list[str]
    notes: list[str] = field(default_factory=list)

    def strata(self) -> list[int]:
        """A group for each row: its label, the rarest of its labels, or its number's size."""
        if self.kind == "label":
            strata: list[int] = self.values.tolist()
            return strata
        if self.kind == "number":
            edges = np.quantile(self.values, np.linspace(0, 1, NUMBER_BINS + 1)[1:-1])
            bins: list[int] = np.searchsorted(edges, self.values, side="right").tolist()
            return bins
        # Rows without any label form a group of their own.
        counts = np.append(self.values.sum(0), len(self.values) + 1)
        candidates = np.column_stack([self.values, np.ones(len(self.values), dtype=bool)])
        rarest: list[int] = np.where(candidates, counts, np.inf).argmin(1).tolist()
        return rarest


def read(cells: list[str], spec: TextSpec) -> Truth:
    """Of cells that are not empty. Raises BadTrainingData when nothing can be learnt from them."""
    if spec.task == "text-regression":
        return _numbers(cells, spec.target_column)
    dials = spec.hyperparameters
    sets = read_label_sets(cells, dials.labels_per_row, dials.label_separator)
    return _labels(cells, spec.target_column) if sets is None else _sets(sets, spec.target_column)


def only_numbers(
    targets: list[str | None], rows: list[int], column: str
) -> tuple[list[int], list[str]]:
    """The rows whose target is a finite number, and a warning about the others."""
    kept = [row for row in rows if _number(targets[row]) is not None]
    lost = len(rows) - len(kept)
    if lost > len(rows) / 2:
        example = next(targets[row] for row in rows if _number(targets[row]) is None)
        raise BadTrainingData(
            "not_numbers",
            f"Column {column!r} holds mostly other things than numbers, such as {example!r}."
            " Choose a column of numbers, or the task text classification.",
        )
    return kept, [f"{lost:,} rows have no number in {column}: skipped."] if lost else []


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _numbers(cells: list[str], column: str) -> Truth:
    values = np.array([float(cell) for cell in cells])
    if values.std() == 0:
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same number, {cells[0]}, in column {column!r}."
            " There is nothing to tell apart.",
        )
    return Truth("number", values, [])


def _labels(cells: list[str], column: str) -> Truth:
    counts = Counter(cells)
    if len(counts) < 2:
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same label, {cells[0]!r}, in column {column!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if max(counts.values()) < 2 or len(counts) > min(MOST_LABELS, len(cells) // 2):
        raise _too_many(len(counts), len(cells), column)
    names = sorted(counts)
    index_of = {name: index for index, name in enumerate(names)}
    values = np.array([index_of[cell] for cell in cells], dtype=np.int64)
    return Truth("label", values, names, _rare(counts))


def _sets(sets: LabelSets, column: str) -> Truth:
    counts = Counter(label for labels in sets.labels for label in labels)
    if len(counts) < 2:
        raise BadTrainingData(
            "too_few_labels",
            f"Column {column!r} names fewer than two different labels."
            " A classifier needs at least two.",
        )
    if len(counts) > min(MOST_LABELS, len(sets.labels)):
        raise _too_many(len(counts), len(sets.labels), column)
    names = sorted(counts)
    index_of = {name: index for index, name in enumerate(names)}
    values = np.zeros((len(sets.labels), len(names)), dtype=bool)
    for row, labels in enumerate(sets.labels):
        values[row, [index_of[label] for label in labels]] = True
    note = (
        f"Each cell of {column} is read as several labels ({sets.how}): {len(names):,} labels,"
        f" {values.sum() / len(values):.1f} a row. Set labels per row to one if that is wrong."
    )
    return Truth("labels", values, names, [note, *_rare(counts)])


def _too_many(labels: int, rows: int, column: str) -> BadTrainingData:
    return BadTrainingData(
        "too_many_labels",
        f"Column {column!r} has {labels:,} different labels in {rows:,} rows; at most"
        f" {MOST_LABELS:,}, with several rows each, can be learnt."
        " Is it an identifier or free text? Choose another target column.",
    )


def _rare(counts: Counter[str]) -> list[str]:
    rare = [name for name, count in counts.items() if count < 3]
    if not rare:
        return []
    shown = ", ".join(sorted(rare)[:5]) + (" …" if len(rare) > 5 else "")
    return [
        f"{len(rare):,} labels have fewer than 3 rows ({shown}): they will hardly be learnt"
        " and cannot be tested. Add rows or merge them into others."
    ]
