"""Reads a table as training would: lists of labels in cells, and an inspection of the suggested
columns."""

from pathlib import Path
from typing import TypedDict

import duckdb
import pyarrow.parquet as pq
from pydantic import ValidationError

from engine.data.multilabel_parsing import parse_label_cells
from engine.spec import SPEC_CLASSES, parse_spec
from engine.tasks.inspection import Inspection, inspect_data, inspection_key
from projects.profiling.profile import ColumnProfile, StoredInspection, Suggestion
from projects.reading.columns.sql import batched, quote_identifier

MAX_SAMPLED_CELLS = 3_000
COLUMNS_AT_ONCE = 50
MAX_LABEL_CELL_LENGTH = 120  # Mean characters of cells that may be lists of labels.
MAX_OBJECT_CELL_LENGTH = 1_000  # The same of objects, which say more of a label than its name.
# Larger tables are inspected at launch, by a process of its own.
MAX_INSPECTED_ROWS, MAX_INSPECTED_BYTES = 100_000, 50_000_000


class PathsOfASpec(TypedDict):
    data: Path
    output: Path
    work: Path


def count_cell_labels(
    connection: duckdb.DuckDBPyConnection, table: str, columns: list[ColumnProfile]
) -> dict[str, int]:
    """The number of different labels in each column whose cells are lists of labels."""
    names = [column["name"] for column in columns if _may_list_labels(column)]
    counts: dict[str, int] = {}
    # Many columns in one query, as each query reads the position of every column in the file.
    for group in batched(names, COLUMNS_AT_ONCE):
        quoted = [quote_identifier(name) for name in group]
        cells = ", ".join(f"trim({name})" for name in quoted)
        filled = " OR ".join(f"{name} IS NOT NULL" for name in quoted)
        rows = connection.execute(
            f"SELECT {cells} FROM {table} WHERE {filled} LIMIT {MAX_SAMPLED_CELLS}"
        ).fetchall()
        for name, column in zip(group, zip(*rows, strict=True), strict=False):
            if count := _count_labels([cell for cell in column if cell]):
                counts[name] = count
    return counts


def _may_list_labels(column: ColumnProfile) -> bool:
    holds_objects = any(
        entry["value"].lstrip().startswith(("[{", "{")) for entry in column["top_values"][:1]
    )
    longest = MAX_OBJECT_CELL_LENGTH if holds_objects else MAX_LABEL_CELL_LENGTH
    is_short = (column.get("mean_length") or 0) <= longest
    return column["type"] in ("text", "json") and is_short and column["unique"] >= 2


def _count_labels(cells: list[str]) -> int:
    parsed = parse_label_cells(cells, "auto", "") if cells else None
    return len({label for labels in parsed.labels for label in labels}) if parsed else 0


def inspect_suggestion(data: Path, suggested: Suggestion) -> StoredInspection | None:
    """The inspection of a job with the suggested columns; None where the suggestion is incomplete
    or the table is too large to be read here."""
    spec_class = SPEC_CLASSES[suggested["task"]]
    nowhere: PathsOfASpec = {"data": data, "output": Path("out"), "work": Path("work")}
    columns = spec_class.from_suggestion(suggested)
    try:
        spec = parse_spec({"task": suggested["task"], **nowhere, **columns})
    except ValidationError:
        return None
    if not _is_inspectable(data):
        return None
    return {"key": inspection_key(spec), "result": inspect_data(spec).model_dump()}


def read_inspection(stored: StoredInspection | None) -> Inspection | None:
    return Inspection.model_validate(stored["result"]) if stored else None


def _is_inspectable(data: Path) -> bool:
    metadata = pq.read_metadata(data)
    total: int = sum(
        metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)
    )
    rows: int = metadata.num_rows
    return rows <= MAX_INSPECTED_ROWS and total <= MAX_INSPECTED_BYTES
