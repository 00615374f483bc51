"""Reads labelled texts from Parquet: types to text, useless rows skipped and counted."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadTrainingData
from engine.spec import TextSpec

TEXT_SEPARATOR = "\n"
FEWEST_ROWS = 10
MOST_ROWS = 5_000_000
MOST_LABELS = 1000


@dataclass(frozen=True)
class Examples:
    """Usable rows. `rows` are their numbers in the file, from 0; `labels` index `label_names`."""

    rows: list[int]
    texts: list[str]
    labels: list[int]
    label_names: list[str]
    split_values: list[str | None] | None
    warnings: list[str]


def read_examples(spec: TextSpec) -> Examples:
    """Every row with text and target. Raises BadTrainingData when nothing can be learnt."""
    columns = [*spec.text_columns, spec.target_column]
    if spec.split.column:
        columns.append(spec.split.column)
    table = read_columns(spec.data, columns)
    texts = joined_texts(table, spec.text_columns)
    targets = as_strings(table, spec.target_column)
    kept = [row for row, text in enumerate(texts) if text and targets[row]]
    names = [target for target in targets if target]
    _refuse_unlearnable(spec, Counter(targets[row] for row in kept), rows=len(kept))
    label_names = sorted({str(targets[row]) for row in kept})
    index_of = {name: index for index, name in enumerate(label_names)}
    split_values = as_strings(table, spec.split.column) if spec.split.column else None
    warnings = _skipped_rows(spec, texts, missing_targets=len(targets) - len(names))
    labels = [index_of[str(targets[row])] for row in kept]
    kept_texts = [texts[row] for row in kept]
    return Examples(
        rows=kept,
        texts=kept_texts,
        labels=labels,
        label_names=label_names,
        split_values=[split_values[row] for row in kept] if split_values else None,
        warnings=warnings + _doubtful_labels(kept_texts, labels, label_names),
    )


def read_columns(path: Path, columns: list[str]) -> pa.Table:
    try:
        present = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise BadTrainingData(
            "unreadable_file", "The data file cannot be read as Parquet. Import it again."
        ) from error
    for column in columns:
        if column not in present:
            raise BadTrainingData(
                "missing_column",
                f"There is no column {column!r}. The columns are: {', '.join(present)}.",
            )
    table = pq.read_table(path, columns=list(dict.fromkeys(columns)))
    if table.num_rows > MOST_ROWS:
        raise BadTrainingData(
            "too_many_rows",
            f"The data has {table.num_rows:,} rows; at most {MOST_ROWS:,} can be trained on."
            " Draw a sample and import it as a new version.",
        )
    return table


def as_strings(table: pa.Table, column: str) -> list[str | None]:
    """Any type as text without outer blanks; whole floats lose their `.0`; empty becomes None."""
    return [_as_string(value) for value in table.column(column).to_pylist()]


def _as_string(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return str(value).strip() or None


def joined_texts(table: pa.Table, columns: list[str]) -> list[str]:
    """The text columns of each row, in order, joined; columns without text are left out."""
    parts = [as_strings(table, column) for column in columns]
    return [TEXT_SEPARATOR.join(part for part in row if part) for row in zip(*parts, strict=True)]


def _refuse_unlearnable(spec: TextSpec, counts: Counter[str | None], *, rows: int) -> None:
    target = spec.target_column
    if rows < FEWEST_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {rows} rows have both text and a label; at least {FEWEST_ROWS} are needed."
            f" Check that {', '.join(spec.text_columns)} and {target} are the right columns.",
        )
    if len(counts) < 2:
        (only,) = counts
        raise BadTrainingData(
            "too_few_labels",
            f"Every row has the same label, {only!r}, in column {target!r}."
            " A classifier needs at least two labels to choose between.",
        )
    if max(counts.values()) < 2 or len(counts) > min(MOST_LABELS, rows // 2):
        raise BadTrainingData(
            "too_many_labels",
            f"Column {target!r} has {len(counts):,} different labels in {rows:,} rows; at most"
            f" {MOST_LABELS:,}, with several rows each, can be learnt."
            " Is it an identifier or free text? Choose another target column.",
        )


def _skipped_rows(spec: TextSpec, texts: list[str], *, missing_targets: int) -> list[str]:
    empty = sum(not text for text in texts)
    warnings = []
    if empty:
        warnings.append(f"{empty:,} rows have no text in {', '.join(spec.text_columns)}: skipped.")
    if missing_targets:
        warnings.append(f"{missing_targets:,} rows have no {spec.target_column}: skipped.")
    return warnings


def _doubtful_labels(texts: list[str], labels: list[int], names: list[str]) -> list[str]:
    warnings = []
    rare = [names[label] for label, count in Counter(labels).items() if count < 3]
    if rare:
        shown = ", ".join(sorted(rare)[:5]) + (" …" if len(rare) > 5 else "")
        warnings.append(
            f"{len(rare):,} labels have fewer than 3 rows ({shown}): they will hardly be learnt"
            " and cannot be tested. Add rows or merge them into others."
        )
    labels_of: dict[str, set[int]] = {}
    for text, label in zip(texts, labels, strict=True):
        labels_of.setdefault(text, set()).add(label)
    torn = sum(len(found) > 1 for found in labels_of.values())
    if torn:
        warnings.append(f"{torn:,} texts appear with different labels: one of them must be wrong.")
    return warnings
