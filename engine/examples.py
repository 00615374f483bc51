"""Reads labelled texts from Parquet: types to text, useless rows skipped and counted."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine import targets as targets_reading
from engine.errors import BadTrainingData
from engine.spec import TextSpec
from engine.targets import Truth

TEXT_SEPARATOR = "\n"
FEWEST_ROWS = 10
MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class Examples:
    """Usable rows. `rows` are their numbers in the file, from 0; `strata` groups of like rows, of
    which each part of the split gets its share."""

    rows: list[int]
    texts: list[str]
    truth: Truth
    strata: list[int]
    split_values: list[str | None] | None
    warnings: list[str]

    @property
    def label_names(self) -> list[str]:
        return self.truth.names


def read_examples(spec: TextSpec) -> Examples:
    """Every row with text and target. Raises BadTrainingData when nothing can be learnt."""
    columns = [*spec.text_columns, spec.target_column]
    if spec.split.column:
        columns.append(spec.split.column)
    table = read_columns(spec.data, columns)
    texts = joined_texts(table, spec.text_columns)
    targets = as_strings(table, spec.target_column)
    kept = [row for row, text in enumerate(texts) if text and targets[row]]
    missing = sum(not target for target in targets)
    warnings = _skipped_rows(spec, texts, missing_targets=missing)
    if spec.task == "text-regression":
        kept, unreadable = targets_reading.only_numbers(targets, kept, spec.target_column)
        warnings += unreadable
    _refuse_too_few(spec, len(kept))
    truth = targets_reading.read([str(targets[row]) for row in kept], spec)
    kept_texts = [texts[row] for row in kept]
    split_values = as_strings(table, spec.split.column) if spec.split.column else None
    return Examples(
        rows=kept,
        texts=kept_texts,
        truth=truth,
        strata=truth.strata(),
        split_values=[split_values[row] for row in kept] if split_values else None,
        warnings=warnings + truth.notes + _contradictions(kept_texts, truth),
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
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=str)
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


def _refuse_too_few(spec: TextSpec, rows: int) -> None:
    if rows < FEWEST_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {rows} rows have both text and a label; at least {FEWEST_ROWS} are needed. Check"
            f" that {', '.join(spec.text_columns)} and {spec.target_column} are the right columns.",
        )


def _skipped_rows(spec: TextSpec, texts: list[str], *, missing_targets: int) -> list[str]:
    empty = sum(not text for text in texts)
    warnings = []
    if empty:
        warnings.append(f"{empty:,} rows have no text in {', '.join(spec.text_columns)}: skipped.")
    if missing_targets:
        warnings.append(f"{missing_targets:,} rows have no {spec.target_column}: skipped.")
    return warnings


def _contradictions(texts: list[str], truth: Truth) -> list[str]:
    if truth.kind == "number":
        return []
    answers_to: dict[str, set[bytes]] = {}
    for text, answer in zip(texts, truth.values, strict=True):
        answers_to.setdefault(text, set()).add(answer.tobytes())
    torn = sum(len(found) > 1 for found in answers_to.values())
    if not torn:
        return []
    return [f"{torn:,} texts appear with different labels: one of them must be wrong."]
