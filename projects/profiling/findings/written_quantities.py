"""Finds columns of text whose cells are quantities in a notation that is not read, such as
5.1 ± 0.2 mg, 0.52 (0.04) and 48°10'12"N: a model would take each for a word."""

from collections.abc import Sequence

import duckdb

from projects.profiling import column_names
from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import quote_identifier

MAX_CHARS, SAMPLE_ROWS = 40, 2_000
MIN_DIFFERENT = 20  # Cells: fewer are classes.
MAX_SHAPES = 3  # Of the cells, with every number as one sign; addresses and names have more.
NUMBERS = r"[0-9]+(?:[.,' ][0-9]+)*"
# A quantity has a blank, a sign of measurement or a letter of a script without case behind a digit.
WRITTEN = r"^[-+−]?#.*(?:[ °±×*/()′″%³²^~≈µ'\"]|[\x{3040}-\x{9fff}\x{ac00}-\x{d7a3}]).*$"


def find_written_quantities(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each such column, except for columns whose name says that they hold codes."""
    warnings: list[ProfileWarning] = []
    for column in columns:
        longest = column.get("lengths", {"max": None})["max"]
        is_candidate = (
            column["type"] == "text"
            and column["unique"] > MIN_DIFFERENT
            and longest is not None
            and longest <= MAX_CHARS
            and not column.get("looks_like")
            and all(example[:1].lstrip("+-−").isdigit() for example in column["examples"])
            and not column_names.is_identifier_name(column["name"])
        )
        if is_candidate and _holds_quantities(connection, table, column["name"]):
            warnings.append(
                {
                    "code": "written_quantities",
                    "column": column["name"],
                    "sentence": f"{column['name']} is read as text, though its cells, such as"
                    f" {column['examples'][0]!r}, begin with a number.",
                    "advice": "A model takes them for words. If they are quantities, write only the"
                    " number in each cell and the unit in the column's name, and upload the table"
                    " again.",
                }
            )
    return warnings


def _holds_quantities(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> bool:
    cell = quote_identifier(name)
    shape = f"regexp_replace(trim({cell}), '{NUMBERS.replace(chr(39), chr(39) * 2)}', '#', 'g')"
    rows = connection.execute(
        f"SELECT {shape} AS shape FROM (SELECT {cell} FROM {table} WHERE {cell} IS NOT NULL"
        f" LIMIT {SAMPLE_ROWS}) GROUP BY 1 LIMIT {MAX_SHAPES + 1}"
    ).fetchall()
    written = WRITTEN.replace("'", "''")
    row = connection.execute(
        f"SELECT bool_and(regexp_matches(shape, '{written}')) FROM (SELECT unnest(?) AS shape)",
        [[shape for (shape,) in rows]],
    ).fetchone()
    return len(rows) <= MAX_SHAPES and bool(row and row[0])
