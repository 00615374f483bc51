"""Writes a table's typed columns as Parquet, with personal data masked in the chosen columns."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from engine.data.cell_text import NUMBER_FORMATS_KEY
from projects.reading.columns.column import Column, parse_reading
from projects.reading.columns.number_formats import PLAIN, DurationFormat
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.results import ReadingOptions

MIN_ALIKE = 4  # Columns that are read alike before they are read as a list.
ROW_GROUP_ROWS = 20_480  # Few enough that a page of rows reads little; a multiple of 2,048.


def parquet_options(number_formats: str = "") -> str:
    """Of DuckDB's COPY, for a finished table; `number_formats` goes into its metadata.

    Snappy: half as large again as zstd, and read in half the time by every page and search.
    """
    options = f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    if number_formats:
        options += f", KV_METADATA {{{NUMBER_FORMATS_KEY}: {quote_literal(number_formats)}}}"
    return f"({options})"


def describe_number_formats(columns: Sequence[Column]) -> str:
    """JSON of the columns that do not write 1234.5 so, for `parquet_options`; "" without any."""
    readings = {
        column.name: parse_reading(column.reading)
        for column in columns
        if column.type in ("integer", "number")
    }
    marks = {
        name: reading.number_format.marks
        for name, reading in readings.items()
        if reading and not isinstance(reading.number_format, DurationFormat)
    }
    written = {name: mark for name, mark in marks.items() if mark != PLAIN.marks}
    return json.dumps(written) if written else ""


def mask_columns(columns: list[Column], overrides: ReadingOptions) -> list[Column]:
    """The columns, with personal data replaced in those that the customer chose to mask."""
    chosen = overrides.get("mask", [])
    return [_mask_column(column) if column.name in chosen else column for column in columns]


def _mask_column(column: Column) -> Column:
    column = replace(column, cell_expression="")
    if column.type == "json":
        return replace(column, expression=f"mask_personal_json({column.expression})")
    if column.type in ("text", "integer"):
        text = f"mask_personal_data(({column.expression})::VARCHAR)"
        return replace(column, type="text", expression=text)
    # No personal data is looked for in dates, booleans and fractions: the whole cell is hidden.
    hidden = f"CASE WHEN ({column.expression}) IS NULL THEN NULL ELSE '<{column.type}>' END"
    return replace(column, type="text", expression=hidden)


def _select_typed(table: str, columns: Sequence[Column]) -> tuple[str, str]:
    """SQL of the typed columns, and of the table to select them from.

    Where many columns are read alike, one expression is planned for a list of them: planning one
    for each takes seconds for hundreds of columns. In long tables lists would cost more.
    """
    alike: dict[str, list[Column]] = defaultdict(list)
    for column in columns:
        alike[column.cell_expression or column.expression].append(column)
    expressions = {column.name: column.expression for column in columns}
    lists = []
    for expression, group in alike.items():
        if len(group) >= MIN_ALIKE and group[0].cell_expression:
            cells = ", ".join(column.source for column in group)
            lists.append(f"list_transform([{cells}], lambda cell: {expression})")
            for place, column in enumerate(group, 1):
                expressions[column.name] = f"list_{len(lists)}[{place}]"
    if lists:
        named = ", ".join(f"{each} AS list_{number}" for number, each in enumerate(lists, 1))
        table = f"(SELECT *, {named} FROM {table})"
    chosen = ", ".join(
        f"{expressions[each.name]} AS {quote_identifier(each.name)}" for each in columns
    )
    return chosen, table


def write_typed_table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: list[Column],
    path: Path,
    checks: Sequence[str] = (),
) -> int:
    """Write the columns as Parquet; returns the rows. Raises duckdb.Error for a row that does not
    fulfil one of the checks."""
    if checks:
        failed = " OR ".join(f"NOT {check}" for check in checks)
        table = f"{table} WHERE CASE WHEN {failed} THEN error('irregular')::BOOLEAN ELSE true END"
    chosen, table = _select_typed(table, columns)
    # Nothing to plan in a projection; of thousands of expressions, planning would take minutes.
    connection.execute("PRAGMA disable_optimizer")
    written = connection.execute(
        f"COPY (SELECT {chosen} FROM {table}) TO {quote_literal(str(path))}"
        f" {parquet_options(describe_number_formats(columns))}"
    ).fetchone()
    connection.execute("PRAGMA enable_optimizer")
    return int(written[0]) if written else 0
