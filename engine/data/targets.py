"""Reads the target column: one label, several labels, or a number for each row."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.data.labels.objects import find_label_keys
from engine.data.multilabel_parsing import (
    ParsedLabels,
    marks_places,
    parse_label_cells,
    possible_separator,
)
from engine.errors import BadTrainingData
from engine.spec import TextSpec

MAX_LABELS = 1000
NUMBER_BINS = 10  # Strata of numbers, so that each part of the split has small and large ones.


@dataclass(frozen=True)
class GroundTruth:
    """The targets. `values`: label indices, shape (rows,); booleans, shape (rows, labels); or
    numbers, shape (rows,); according to `kind`."""

    kind: Literal["label", "labels", "number"]
    values: npt.NDArray[Any]
    label_names: list[str]
    warnings: list[str] = field(default_factory=list)

    def label_counts(self) -> list[tuple[str, int]]:
        """How many rows have each label, the most frequent first; [] for numbers."""
        if self.kind == "number":
            return []
        counts = (
            np.bincount(self.values, minlength=len(self.label_names))
            if self.kind == "label"
            else self.values.sum(axis=0)
        )
        counted = zip(self.label_names, counts.tolist(), strict=True)
        return sorted(counted, key=lambda entry: (-entry[1], entry[0]))

    def strata(self) -> list[int]:
        """A stratum for each row: its label, the rarest of its labels, or its number's quantile."""
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


def read_targets(cells: list[str], spec: TextSpec) -> GroundTruth:
    """The targets in these cells, none of which may be empty. Raises BadTrainingData if nothing can
    be learnt from them."""
    column = spec.target_name
    if spec.task == "text-regression":
        return _read_numbers(cells, column)
    if marks_places(cells):
        raise BadTrainingData(
            "marked_places",
            f"Cells of {column!r} such as {cells[0][:60]!r} mark places in a text. Labels of places"
            " cannot be learnt here: give each text a label as a whole.",
        )
    hyperparameters = spec.hyperparameters
    parsed = parse_label_cells(
        cells, hyperparameters.labels_per_row, hyperparameters.label_separator
    )
    if parsed is not None and parsed.are_single and hyperparameters.labels_per_row == "auto":
        return _read_labels([labels[0] for labels in parsed.labels], column)
    if parsed is None:
        _require_one_key(cells, column)
        doubt = _separator_warnings(cells, spec)
        truth = _read_labels(cells, column, doubt)
        return replace(truth, warnings=[*doubt, *truth.warnings])
    return _read_multilabels(parsed, column)


def _require_one_key(cells: Sequence[str], column: str) -> None:
    """Raises BadTrainingData for objects of which several fields may be the label."""
    keys = find_label_keys(cells)
    if len(keys) > 1:
        raise BadTrainingData(
            "label_key_open",
            f"Cells of {column!r} hold objects, and several of their fields may be the label:"
            f" {', '.join(keys[:5])}. Say which on the dataset's page.",
        )


def read_marked_targets(present: npt.NDArray[np.bool_], names: list[str]) -> GroundTruth:
    """The targets where each column is one label. `present`: shape (rows, labels), without unknown
    cells. Raises BadTrainingData when no row has any of the labels.
    """
    counts = Counter(dict(zip(names, present.sum(axis=0).tolist(), strict=True)))
    if not present.any():
        raise BadTrainingData(
            "too_few_labels", f"No row has any of the labels {', '.join(names[:10])}."
        )
    order = np.argsort(names)
    note = (
        f"Each of {len(names)} columns is read as one label, on average"
        f" {present.sum() / len(present):.1f} a row. Rows without any:"
        f" {int((~present.any(axis=1)).sum()):,}."
    )
    return GroundTruth(
        "labels",
        present[:, order],
        sorted(names),
        [note, *_rare_label_warnings(counts)],
    )


def select_numeric_rows(
    targets: list[str | None], rows: list[int], column: str
) -> tuple[list[int], list[str]]:
    """The rows whose target is a finite number, and a warning about the others."""
    numeric_rows = [row for row in rows if _parse_number(targets[row]) is not None]
    lost = len(rows) - len(numeric_rows)
    if lost > len(rows) / 2:
        example = next(targets[row] for row in rows if _parse_number(targets[row]) is None)
        raise BadTrainingData(
            "not_numbers",
            f"Column {column!r} holds mostly other things than numbers, such as {example!r}."
            " Choose a column of numbers, or the task text classification.",
        )
    if not lost:
        return numeric_rows, []
    return numeric_rows, [
        f"{'1 row has no' if lost == 1 else f'{lost:,} rows have no'} number in {column}: skipped."
    ]


def _parse_number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _read_numbers(cells: list[str], column: str) -> GroundTruth:
    values = np.array([float(cell) for cell in cells])
    if values.std() == 0:
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same number, {cells[0]}, in column {column!r}."
            " There is nothing to tell apart.",
        )
    return GroundTruth("number", values, [])


def _read_labels(cells: list[str], column: str, doubt: Sequence[str] = ()) -> GroundTruth:
    """The targets where each cell is one label. `doubt`: warnings that the cells could be read in
    another way, which may be the reason for too many labels."""
    counts = Counter(cells)
    if len(counts) < 2:
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same label, {cells[0]!r}, in column {column!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if max(counts.values()) < 2 or len(counts) > min(MAX_LABELS, len(cells) // 2):
        raise _too_many_labels_error(len(counts), len(cells), column, doubt)
    names = sorted(counts)
    index_of = {name: index for index, name in enumerate(names)}
    values = np.array([index_of[cell] for cell in cells], dtype=np.int64)
    return GroundTruth("label", values, names, _rare_label_warnings(counts))


def _read_multilabels(parsed: ParsedLabels, column: str) -> GroundTruth:
    counts = Counter(label for labels in parsed.labels for label in labels)
    if len(counts) < 2:
        raise BadTrainingData(
            "too_few_labels",
            f"Column {column!r} names fewer than two different labels."
            " A classifier needs at least two.",
        )
    if len(counts) > min(MAX_LABELS, len(parsed.labels)):
        raise _too_many_labels_error(len(counts), len(parsed.labels), column)
    names = sorted(counts)
    index_of = {name: index for index, name in enumerate(names)}
    values = np.zeros((len(parsed.labels), len(names)), dtype=bool)
    for row, labels in enumerate(parsed.labels):
        values[row, [index_of[label] for label in labels]] = True
    note = (
        f"Each cell of {column} is read as several labels ({parsed.format_description})."
        f" Labels: {len(names):,}, on average {values.sum() / len(values):.1f} a row."
        " Set labels per row to one if that is wrong."
    )
    doubts = [parsed.doubt] if parsed.doubt else []
    return GroundTruth("labels", values, names, [note, *doubts, *_rare_label_warnings(counts)])


def _separator_warnings(cells: list[str], spec: TextSpec) -> list[str]:
    """A warning where single labels may be several, unless a person has already decided."""
    if spec.hyperparameters.labels_per_row != "auto":
        return []
    separator = possible_separator(cells)
    if not separator:
        return _notation_warnings(cells, spec)
    return [
        f"Most cells of {spec.target_name} hold {separator!r}; each cell is learnt as one label."
        " Set labels per row to several if it separates labels."
    ]


def _notation_warnings(cells: list[str], spec: TextSpec) -> list[str]:
    """A warning where cells look like lists in a notation that is not read."""
    marked = sum(cell[:1] in "[({<【" and not cell[-1:].isalnum() for cell in cells)
    if marked < len(cells) / 2:
        return []
    return [
        f"Cells of {spec.target_name} such as {cells[0][:60]!r} look like lists in a notation that"
        " is not read; each cell is learnt as one label."
    ]


def _too_many_labels_error(
    labels: int, rows: int, column: str, doubt: Sequence[str] = ()
) -> BadTrainingData:
    return BadTrainingData(
        "too_many_labels",
        f"Column {column!r} has {labels:,} different labels in {rows:,} rows; at most"
        f" {MAX_LABELS:,}, with several rows each, can be learnt."
        " Is it an identifier or free text? Choose another target column."
        + "".join(f" {sentence}" for sentence in doubt),
    )


def _rare_label_warnings(counts: Counter[str]) -> list[str]:
    rare = [name for name, count in counts.items() if count < 3]
    if not rare:
        return []
    listed = ", ".join(sorted(rare)[:5]) + (" …" if len(rare) > 5 else "")
    if len(rare) == 1:
        return [
            f"The label {listed} has fewer than 3 rows: it will hardly be learnt and cannot be"
            " tested. Add rows or merge it into another."
        ]
    return [
        f"{len(rare):,} labels have fewer than 3 rows ({listed}): they will hardly be learnt"
        " and cannot be tested. Add rows or merge them into others."
    ]
