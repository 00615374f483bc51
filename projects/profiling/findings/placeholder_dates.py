"""Finds dates that programs write in place of a missing one, such as 0001-01-01, 9999-12-31 and
1970-01-01, which a model would take for real dates."""

from collections.abc import Sequence
from typing import cast

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import batched, quote_identifier
from projects.reading.edits import MAX_ROWS_IN_AN_EDIT
from projects.reading.results import Edit

FIRST_YEAR, LAST_YEAR = 1000, 2999  # Few tables hold dates outside these years.
# Day zero of databases and spreadsheets, which count days or seconds from there.
ZERO_DAYS = ", ".join(
    f"'{day}'::DATE" for day in ("1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01")
)
LAST_ZERO_YEAR = 1970
COLUMNS_AT_ONCE = 50
MAX_FAR_DAYS = 3
MIN_ZEROS, MIN_YEARS_APART = 3, 10  # Of other days than that one; fewer may be birthdays.


def find_placeholder_dates(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of dates in which some cells hold a placeholder."""
    names = [column["name"] for column in columns if column["type"] in ("date", "datetime")]
    warnings = []
    for group in batched(_with_old_or_far(connection, table, names), COLUMNS_AT_ONCE):
        measures = ", ".join(
            f"count(DISTINCT {quote_identifier(name)}) FILTER ({_far(name)}),"
            f" count(*) FILTER ({_is_zero(name)})"
            for name in group
        )
        counts = connection.execute(f"SELECT {measures} FROM {table}").fetchone() or ()
        for name, far, zeros in zip(group, counts[::2], counts[1::2], strict=True):
            if 0 < far <= MAX_FAR_DAYS:  # More of them may be real dates in history.
                warnings.append(_finding(connection, table, name, _far(name)))
            if zeros >= MIN_ZEROS:
                warnings += [
                    _finding(connection, table, name, f"{quote_identifier(name)}::DATE = {zero}")
                    for zero in _lonely_zeros(connection, table, quote_identifier(name))
                ]
    return warnings


def _with_old_or_far(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]
) -> list[str]:
    """The columns whose first or last date may stand for a missing one. The ends are in the file's
    statistics, and most columns need no further look."""
    if not names:
        return []
    ends = ", ".join(f"min({name}), max({name})" for name in map(quote_identifier, names))
    row = connection.execute(f"SELECT {ends} FROM {table}").fetchone() or ()
    return [
        name
        for name, first, last in zip(names, row[::2], row[1::2], strict=True)
        if first is not None and (first.year <= LAST_ZERO_YEAR or last.year >= LAST_YEAR)
    ]


def _far(name: str) -> str:
    year = f"year({quote_identifier(name)})"
    return f"CASE WHEN {year} < {FIRST_YEAR} OR {year} >= {LAST_YEAR} THEN true ELSE false END"


def _is_zero(name: str) -> str:
    return f"{quote_identifier(name)}::DATE IN ({ZERO_DAYS})"


def _lonely_zeros(connection: duckdb.DuckDBPyConnection, table: str, cell: str) -> list[str]:
    """SQL for each of ZERO_DAYS that occurs several times, long before all other dates."""
    rows = connection.execute(
        f"SELECT {cell}::DATE::VARCHAR FROM {table} WHERE {cell}::DATE IN ({ZERO_DAYS})"
        f" GROUP BY {cell}::DATE HAVING count(*) >= {MIN_ZEROS} AND {cell}::DATE +"
        f" INTERVAL {MIN_YEARS_APART} YEAR < (SELECT min({cell}) FROM {table}"
        f" WHERE {cell}::DATE NOT IN ({ZERO_DAYS}) AND year({cell}) >= {FIRST_YEAR})"
    ).fetchall()
    return [f"'{day}'::DATE" for (day,) in rows]


def _finding(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, condition: str
) -> ProfileWarning:
    cell = quote_identifier(name)
    times, example = cast(
        tuple[int, str],
        connection.execute(
            f"SELECT count(*), any_value({cell}::VARCHAR) FROM {table} WHERE {condition}"
        ).fetchone(),
    )
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
            f"SELECT line FROM (SELECT row_number() OVER () - 1 AS line, {cell}"
            f" FROM {table}) WHERE {condition}"
        ).fetchall()
        edits: list[Edit] = [
            {"op": "set_cells", "column": name, "rows": [row for (row,) in rows], "value": None}
        ]
        warning["fix"] = {"title": f"Empty the cells of {name} that hold no day", "edits": edits}
    return warning
