"""Reads a table and its target from Parquet: rows without a target are skipped and counted."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadTrainingData
from engine.examples import as_strings, read_columns
from engine.spec import TabularSpec
from engine.targets import MOST_LABELS

FEWEST_ROWS = 20
SHOWN_CHARACTERS = 300
STRATA = 10


@dataclass(frozen=True)
class Table:
    """Usable rows. `rows` are their numbers in the file, from 0; one target is filled in."""

    columns: pa.Table
    names: list[str]  # Of the feature columns.
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64] | None  # Places in label_names.
    numbers: npt.NDArray[np.float64] | None
    label_names: list[str]
    split_values: list[str | None] | None
    warnings: list[str]

    @property
    def texts(self) -> list[str]:
        """Each row in words, for people and to know equal rows by."""
        cells = [as_strings(self.columns, name) for name in self.names]
        return [
            ", ".join(f"{name}={value}" for name, value in zip(self.names, row, strict=True))
            for row in zip(*cells, strict=True)
        ]

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """What a split must keep in proportion: the label, or the tenth a number falls in."""
        if self.labels is not None:
            return self.labels
        assert self.numbers is not None
        edges = np.quantile(self.numbers, np.linspace(0, 1, STRATA + 1)[1:-1])
        return np.searchsorted(edges, self.numbers).astype(np.int64)


def read_table(spec: TabularSpec) -> Table:
    """Raises BadTrainingData when nothing can be learnt from this table."""
    names = spec.feature_columns or _all_but_the_target(spec)
    wanted = [*names, spec.target_column, *([spec.split.column] if spec.split.column else [])]
    table = read_columns(spec.data, wanted)
    targets = as_strings(table, spec.target_column)
    kept = np.asarray([row for row, target in enumerate(targets) if target], dtype=np.int64)
    if len(kept) < FEWEST_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {len(kept)} rows have a value in {spec.target_column!r}; at least"
            f" {FEWEST_ROWS} are needed. Check that it is the right column.",
        )
    missing = len(targets) - len(kept)
    warnings = [f"{missing:,} rows have no {spec.target_column}: skipped."] if missing else []
    columns = table.take(pa.array(kept))
    present = [str(targets[row]) for row in kept]
    is_label = spec.task == "tabular-classification"
    label_names = _label_names(spec, present) if is_label else []
    places = {name: place for place, name in enumerate(label_names)}
    return Table(
        columns=columns,
        names=names,
        rows=kept,
        labels=np.asarray([places[name] for name in present]) if is_label else None,
        numbers=None if is_label else _numbers(spec, present, kept),
        label_names=label_names,
        split_values=as_strings(columns, spec.split.column) if spec.split.column else None,
        warnings=warnings,
    )


def _all_but_the_target(spec: TabularSpec) -> list[str]:
    try:
        present = pq.read_schema(spec.data).names
    except (OSError, pa.ArrowInvalid) as error:
        raise BadTrainingData(
            "unreadable_file", "The data file cannot be read as Parquet. Import it again."
        ) from error
    names = [name for name in present if name not in (spec.target_column, spec.split.column)]
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
    if len(counts) > min(MOST_LABELS, len(targets) // 2):
        raise BadTrainingData(
            "too_many_labels",
            f"Column {spec.target_column!r} has {len(counts):,} different labels in"
            f" {len(targets):,} rows. Is it a number? Then choose tabular-regression.",
        )
    return sorted(counts)


def _numbers(
    spec: TabularSpec, targets: list[str], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    numbers = np.zeros(len(targets))
    for place, target in enumerate(targets):
        try:
            numbers[place] = float(target)
        except ValueError:
            numbers[place] = np.nan
        if not np.isfinite(numbers[place]):
            raise BadTrainingData(
                "not_a_number",
                f"Column {spec.target_column!r} says {target[:40]!r} in row {rows[place] + 1}; a"
                " regression needs numbers only. Mend it, or choose tabular-classification.",
            )
    if numbers.min() == numbers.max():
        raise BadTrainingData(
            "constant_target", f"Every row has the same {spec.target_column}: nothing to learn."
        )
    return numbers
