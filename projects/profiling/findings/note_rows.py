"""Finds notes that a program wrote below its table, such as the date of the report: rows at the end
with one value where all other rows have several."""

from collections.abc import Sequence

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import quote_identifier
from projects.reading.results import Edit

MIN_COLUMNS, MIN_ROWS = 3, 10
LAST_ROWS = 10  # Notes stand at the end.
MIN_FILLED = 3  # In every other row.
MAX_SHOWN_CHARS = 60


def find_note_rows(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile], rows: int
) -> list[ProfileWarning]:
    """A finding for the last rows of a table that have only a text in the first column."""
    if (
        len(columns) < MIN_COLUMNS
        or rows < MIN_ROWS
        or not all(column["missing"] for column in columns[1:])
    ):
        return []
    first, *others = [quote_identifier(column["name"]) for column in columns]
    filled = " + ".join(f"({name} IS NOT NULL)::INTEGER" for name in (first, *others))
    lines = connection.execute(
        f"SELECT line, text, filled FROM (SELECT row_number() OVER () - 1 AS line,"
        f" {first}::VARCHAR AS text, {filled} AS filled FROM {table}) WHERE line >= {rows}"
        f" - {LAST_ROWS} OR filled < {MIN_FILLED} ORDER BY line"
    ).fetchall()
    notes = [(line, text) for line, text, count in lines if count == 1 and text]
    are_last = [line for line, _ in notes] == list(range(rows - len(notes), rows))
    sparse_rows = sum(count < MIN_FILLED for *_, count in lines)
    if not notes or not are_last or sparse_rows > len(notes):
        return []
    line, text = notes[0]
    edits: list[Edit] = [{"op": "drop_rows", "rows": [line for line, _ in notes]}]
    example = f"row {line + 1:,}: {text[:MAX_SHOWN_CHARS]!r}"
    return [
        {
            "code": "note_rows",
            "sentence": f"1 row at the end holds a single value, {example}."
            if len(notes) == 1
            else f"{len(notes):,} rows at the end hold a single value, such as {example}.",
            "advice": "Programs write such notes below a table. They are no rows of it.",
            "fix": {"title": "Leave them out", "edits": edits},
        }
    ]
