"""Reads a table and its target from Parquet; rows without a target are skipped and counted."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.data.splitting import Split, find_untrained_label, split_rows
from engine.data.target_outliers import leave_out_outliers
from engine.data.targets import MAX_LABELS
from engine.data.text_examples import read_as_strings, read_column_names, read_columns
from engine.errors import BadTrainingData
from engine.spec import TabularSpec

MIN_ROWS = 20
MAX_DISPLAY_CHARACTERS = 300
STRATA_COUNT = 10


@dataclass(frozen=True)
class TabularDataset:
    """Usable rows. `rows` are their numbers in the file, from 0; either `labels` or `numbers` is
    the target."""

    columns: pa.Table
    names: list[str]  # Of the feature columns.
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64] | None  # Indices of label_names.
    numbers: npt.NDArray[np.float64] | None
    label_names: list[str]
    split_values: list[str | None] | None
    warnings: list[str]

    @cached_property
    def texts(self) -> list[str]:
        """Each row as text, to show to people and to find equal rows."""
        cells = [read_as_strings(self.columns, name) for name in self.names]
        return [
            ", ".join(f"{name}={value}" for name, value in zip(self.names, row, strict=True))
            for row in zip(*cells, strict=True)
        ]

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """What a split keeps in proportion: the label, or the decile of a number."""
        if self.labels is not None:
            return self.labels
        assert self.numbers is not None
        edges = np.quantile(self.numbers, np.linspace(0, 1, STRATA_COUNT + 1)[1:-1])
        return np.searchsorted(edges, self.numbers).astype(np.int64)


def read_table(spec: TabularSpec) -> TabularDataset:
    """Raises BadTrainingData when nothing can be learnt from this table."""
    names = spec.feature_columns or _default_feature_columns(spec)
    split_column = spec.effective_split.column
    wanted_columns = [*names, spec.target_column, *([split_column] if split_column else [])]
    table = read_columns(spec.data, wanted_columns)
    targets = read_as_strings(table, spec.target_column)
    rows = np.asarray([row for row, target in enumerate(targets) if target], dtype=np.int64)
    if len(rows) < MIN_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            "Only "
            f"{'1 row has a value' if len(rows) == 1 else f'{len(rows)} rows have a value'}"
            f" in {spec.target_column!r}; at least"
            f" {MIN_ROWS} are needed. Check that it is the right column.",
        )
    missing = len(targets) - len(rows)
    warnings = (
        [
            f"{'1 row has no' if missing == 1 else f'{missing:,} rows have no'}"
            f" {spec.target_column}: skipped."
        ]
        if missing
        else []
    )
    columns = table.take(pa.array(rows))
    row_targets = [str(targets[row]) for row in rows]
    is_label = spec.task == "tabular-classification"
    label_names = _label_names(spec, row_targets) if is_label else []
    index_of = {name: index for index, name in enumerate(label_names)}
    return TabularDataset(
        columns=columns,
        names=names,
        rows=rows,
        labels=np.asarray([index_of[name] for name in row_targets]) if is_label else None,
        numbers=None if is_label else _parse_numbers(spec, row_targets, rows),
        label_names=label_names,
        split_values=read_as_strings(columns, split_column) if split_column else None,
        warnings=warnings,
    )


def split_table(table: TabularDataset, spec: TabularSpec) -> Split:
    """Rows divided as the spec says; equal rows stay together, since on both sides of a split the
    test would measure memory. Raises BadTrainingData when a part is of no use."""
    split = split_rows(table.texts, table.strata.tolist(), spec.effective_split, table.split_values)
    if table.numbers is not None:
        rows = table.rows.tolist()
        split, left_out = leave_out_outliers(split, table.numbers, rows, spec.target_column)
        split = replace(split, warnings=[*left_out, *split.warnings])
    if not len(split.test):
        raise BadTrainingData(
            "too_few_rows",
            "No rows could be set aside for the test: too few different rows. Add rows.",
        )
    if table.labels is not None:
        label = find_untrained_label(split, table.labels, table.label_names)
        if label is not None:
            raise BadTrainingData(
                "untaught_label",
                f"The label {label!r} has no training rows: all of its rows are set aside for"
                " validation or test. Change the split column, or add rows of it.",
            )
    return split


def _default_feature_columns(spec: TabularSpec) -> list[str]:
    present = read_column_names(spec.data)
    unused = (spec.target_column, spec.effective_split.column)
    names = [name for name in present if name not in unused]
    if not names:
        raise BadTrainingData("no_features", "The table has no column besides the target.")
    return names


def _label_names(spec: TabularSpec, targets: list[str]) -> list[str]:
    counts = Counter(targets)
    if len(counts) < 2:
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same {spec.target_column}, {targets[0]!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if len(counts) > min(MAX_LABELS, len(targets) // 2):
        raise BadTrainingData(
            "too_many_labels",
            f"Column {spec.target_column!r} has {len(counts):,} different labels in"
            f" {len(targets):,} rows. Is it a number? Then choose tabular-regression.",
        )
    return sorted(counts)


def _parse_numbers(
    spec: TabularSpec, targets: list[str], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    numbers = np.zeros(len(targets))
    for index, target in enumerate(targets):
        try:
            numbers[index] = float(target)
        except ValueError:
            numbers[index] = np.nan
        if not np.isfinite(numbers[index]):
            raise BadTrainingData(
                "not_a_number",
                f"Column {spec.target_column!r} says {target[:40]!r} in row {rows[index] + 1}; a"
                " regression needs numbers only. Mend it, or choose tabular-classification.",
            )
    if numbers.min() == numbers.max():
        raise BadTrainingData(
            "constant_target", f"Every row has the same {spec.target_column}: nothing to learn."
        )
    return numbers
