"""Days that programs write where there is none, such as 0001-01-01, 9999-12-31 and 1970-01-01: a
model would take them for moments far away."""

from collections.abc import Sequence

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import quote_identifier
from projects.reading.edits import MAX_ROWS_IN_AN_EDIT
from projects.reading.results import Edit

FIRST_YEAR, LAST_YEAR = 1000, 2999  # No table tells of a day before or after them.
# Zero, as databases and spreadsheets count days and seconds.
ZEROS = ("1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01")
MIN_ZEROS, MIN_YEARS_APART = 3, 10  # Of other days than that one; fewer may be birthdays.


def find_placeholder_dates(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of dates in which some cells stand for no day."""
    names = [column["name"] for column in columns if column["type"] in ("date", "datetime")]
    found = []
    for name in names:
        cell = quote_identifier(name)
        for condition in (
            f"CASE WHEN year({cell}) < {FIRST_YEAR} OR year({cell}) >= {LAST_YEAR} THEN true"
            " ELSE false END",
            *(f"{cell}::DATE = '{zero}'::DATE" for zero in _lonely_zeros(connection, table, cell)),
        ):
            row = connection.execute(
                f"SELECT count(*), any_value({cell}::VARCHAR) FROM {table} WHERE {condition}"
            ).fetchone()
            if row and row[0]:
                found.append(_finding(connection, table, name, condition, int(row[0]), row[1]))
    return found


def _lonely_zeros(connection: duckdb.DuckDBPyConnection, table: str, cell: str) -> list[str]:
    """The zeros that come again and again, long before all other days of the column."""
    zeros = ", ".join(f"'{zero}'::DATE" for zero in ZEROS)
    rows = connection.execute(
        f"SELECT {cell}::DATE::VARCHAR FROM {table} WHERE {cell}::DATE IN ({zeros})"
        f" GROUP BY {cell}::DATE HAVING count(*) >= {MIN_ZEROS} AND {cell}::DATE +"
        f" INTERVAL {MIN_YEARS_APART} YEAR < (SELECT min({cell}) FROM {table}"
        f" WHERE {cell}::DATE NOT IN ({zeros}) AND year({cell}) >= {FIRST_YEAR})"
    ).fetchall()
    return [day for (day,) in rows]


def _finding(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    name: str,
    condition: str,
    times: int,
    example: str,
) -> ProfileWarning:
    warning: ProfileWarning = {
        "code": "placeholder_dates",
        "sentence": f"1 cell of {name} holds {example}, as programs write where there is no date."
        if times == 1
        else f"{times:,} cells of {name} hold days such as {example}, as programs write where"
        " there is no date.",
        "advice": "A model would take it for a day far away from all others. Empty those cells if"
        " it stands for none.",
    }
    if times <= MAX_ROWS_IN_AN_EDIT:
        rows = connection.execute(
            f"SELECT line FROM (SELECT row_number() OVER () - 1 AS line, {quote_identifier(name)}"
            f" FROM {table}) WHERE {condition}"
        ).fetchall()
        edits: list[Edit] = [
            {"op": "set_cells", "column": name, "rows": [row for (row,) in rows], "value": None}
        ]
        warning["fix"] = {"title": f"Empty the cells of {name} that hold no day", "edits": edits}
    return warning
