"""Reads labelled texts from Parquet. All types are read as text; unusable rows are skipped and
counted in a warning."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.data.label_columns import read_label_columns
from engine.data.splitting import Split, split_rows
from engine.data.target_outliers import leave_out_outliers
from engine.data.targets import (
    GroundTruth,
    read_marked_targets,
    read_targets,
    select_numeric_rows,
)
from engine.errors import BadTrainingData
from engine.spec import TextSpec

TEXT_SEPARATOR = "\n"
MIN_ROWS = 10
MAX_ROWS = 5_000_000


@dataclass(frozen=True)
class TextExamples:
    """The usable rows. `rows`: their numbers in the file, from 0. `strata`: each part of the split
    gets its share of every stratum."""

    rows: list[int]
    texts: list[str]
    truth: GroundTruth
    strata: list[int]
    split_values: list[str | None] | None
    warnings: list[str]

    @property
    def label_names(self) -> list[str]:
        return self.truth.label_names


def read_examples(spec: TextSpec) -> TextExamples:
    """Every row with a text and a target. Raises BadTrainingData if nothing can be learnt."""
    split_column = spec.effective_split.column
    columns = [*spec.text_columns, *spec.targets, *([split_column] if split_column else [])]
    table = read_columns(spec.data, columns)
    texts = join_text_columns(table, spec.text_columns)
    rows, truth, warnings = _read_truth(spec, table, texts)
    usable_texts = [texts[row] for row in rows]
    split_values = read_as_strings(table, split_column) if split_column else None
    return TextExamples(
        rows=rows,
        texts=usable_texts,
        truth=truth,
        strata=truth.strata(),
        split_values=[split_values[row] for row in rows] if split_values else None,
        warnings=warnings + truth.warnings + _contradictory_label_warnings(usable_texts, truth),
    )


def _read_truth(
    spec: TextSpec, table: pa.Table, texts: list[str]
) -> tuple[list[int], GroundTruth, list[str]]:
    """The usable rows, their targets, and warnings about skipped rows."""
    if spec.target_columns:
        cells = {name: read_as_strings(table, name) for name in spec.target_columns}
        present, known = read_label_columns(cells)
        usable = [row for row, text in enumerate(texts) if text and known[row]]
        warnings = _skipped_row_warnings(spec, texts, missing_targets=int((~known).sum()))
        _validate_row_count(spec, len(usable))
        return usable, read_marked_targets(present[usable], spec.target_columns), warnings
    targets = read_as_strings(table, spec.target_name)
    usable = [row for row, text in enumerate(texts) if text and targets[row]]
    missing = sum(not target for target in targets)
    warnings = _skipped_row_warnings(spec, texts, missing_targets=missing)
    if spec.task == "text-regression":
        usable, unreadable = select_numeric_rows(targets, usable, spec.target_name)
        warnings += unreadable
    _validate_row_count(spec, len(usable))
    return usable, read_targets([str(targets[row]) for row in usable], spec), warnings


def split_examples(examples: TextExamples, spec: TextSpec) -> Split:
    """The split that the spec describes. Raises BadTrainingData when the training rows have one
    label only, or no rows are left for the test."""
    truth = examples.truth
    split = split_rows(
        examples.texts,
        examples.strata,
        spec.effective_split,
        examples.split_values,
        are_texts=True,
    )
    if truth.kind == "number":
        split, left_out = leave_out_outliers(split, truth.values, examples.rows, spec.target_name)
        split = replace(split, warnings=[*left_out, *split.warnings])
    if truth.kind == "label" and len(set(truth.values[split.train].tolist())) < 2:
        raise BadTrainingData(
            "too_few_labels",
            "The training rows have only one label; the others are all in the validation or test"
            " rows. Change the split.",
        )
    if not len(split.test):
        raise BadTrainingData(
            "too_few_texts",
            "No rows could be set aside for the test: too few different texts per label."
            " Add rows with other texts.",
        )
    return split


def read_column_names(path: Path) -> list[str]:
    """The names of the file's columns. Raises BadTrainingData when it is not Parquet."""
    try:
        names: list[str] = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise BadTrainingData(
            "unreadable_file", "The data file cannot be read as Parquet. Import it again."
        ) from error
    return names


def read_columns(path: Path, columns: list[str]) -> pa.Table:
    """These columns of the file. Raises BadTrainingData for a missing one or for too many rows."""
    present = read_column_names(path)
    for column in columns:
        if column not in present:
            raise BadTrainingData(
                "missing_column",
                f"There is no column {column!r}. The columns are: {', '.join(present)}.",
            )
    names = list(dict.fromkeys(columns))
    # pq.read_table would load pyarrow.dataset and pandas, which takes longer than small files.
    table = pq.ParquetFile(path).read(columns=names).select(names)
    if table.num_rows > MAX_ROWS:
        raise BadTrainingData(
            "too_many_rows",
            f"The data has {table.num_rows:,} rows; at most {MAX_ROWS:,} can be trained on."
            " Draw a sample and import it as a new version.",
        )
    return table


def read_as_strings(table: pa.Table, column: str) -> list[str | None]:
    """The cells of any type as trimmed text; whole floats without `.0`; None for empty ones."""
    return [_as_string(value) for value in table.column(column).to_pylist()]


def _as_string(value: Any) -> str | None:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"  # As JSON and the dataset's page write them.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    return str(value).strip() or None


def join_text_columns(table: pa.Table, columns: list[str]) -> list[str]:
    """The text columns of each row, in order, joined; columns without text are left out."""
    parts = [read_as_strings(table, column) for column in columns]
    return [TEXT_SEPARATOR.join(part for part in row if part) for row in zip(*parts, strict=True)]


def _validate_row_count(spec: TextSpec, rows: int) -> None:
    if rows < MIN_ROWS:
        raise BadTrainingData(
            "too_few_rows",
            f"Only {'1 row has both' if rows == 1 else f'{rows} rows have both'}"
            f" text and a label; at least {MIN_ROWS} are needed. Check"
            f" that {', '.join(spec.text_columns)} and {spec.target_name} are the right columns.",
        )


def _skipped_row_warnings(spec: TextSpec, texts: list[str], *, missing_targets: int) -> list[str]:
    empty = sum(not text for text in texts)
    warnings = []
    if empty:
        warnings.append(
            f"{'1 row has no text' if empty == 1 else f'{empty:,} rows have no text'}"
            f" in {', '.join(spec.text_columns)}: skipped."
        )
    if missing_targets:
        warnings.append(
            f"{'1 row has no' if missing_targets == 1 else f'{missing_targets:,} rows have no'}"
            f" {spec.target_name}: skipped."
        )
    return warnings


def _contradictory_label_warnings(texts: list[str], truth: GroundTruth) -> list[str]:
    if truth.kind == "number":
        return []
    answers_to: dict[str, set[bytes]] = {}
    for text, answer in zip(texts, truth.values, strict=True):
        answers_to.setdefault(text, set()).add(answer.tobytes())
    contradictory = sum(len(answers) > 1 for answers in answers_to.values())
    if not contradictory:
        return []
    if contradictory == 1:
        return ["1 text appears with different labels: one of them must be wrong."]
    return [f"{contradictory:,} texts appear with different labels: one of them must be wrong."]
