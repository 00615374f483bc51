"""The cells of a column by their shape: digits become 9, and cells that look alike are counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import duckdb

from engine.data.cell_text import MISSING_MARKERS
from projects.reading.columns.date_formats import fitting_dates
from projects.reading.columns.number_formats import FORMATS, CellShape
from projects.reading.columns.sql import batched, trimmed

SAMPLE_ROWS = 2_000
COLUMNS_AT_ONCE = 200
MIN_NUMERIC_SHARE = 0.45  # Of a sample; below it a column is text and not read whole.
MAX_SHAPES = 400
STARTS_WITH_ZERO, ENDS_WITH_ZERO = "^[^0-9]*0[^a-zA-Z]*[0-9]", "[.,][0-9]*0[^0-9]*$"
PLAIN_CELL = r"-?(0|[1-9]\d{0,14})([.]\d{1,15})?|[1-9]\d{3}-\d\d-\d\d"
MAX_SHAPE_LENGTH = 40  # No number or date is longer; what is, makes a column text.


@dataclass(frozen=True)
class ColumnShapes:
    """What the cells of one column look like, blank cells aside."""

    shapes: list[CellShape]
    markers: dict[str, int]  # Missing markers as written, and how often.
    other_count: int  # Cells of shapes beyond MAX_SHAPES, or of a column that is plainly text.

    @property
    def filled(self) -> int:
        return sum(shape.count for shape in self.shapes) + self.other_count

    @property
    def marker_count(self) -> int:
        return sum(self.markers.values())


@dataclass(frozen=True)
class FileContext:
    """What the rest of the file says about how numbers are written in it."""

    separator: str = ""  # Of a CSV; "" elsewhere.
    marks: frozenset[tuple[str, str]] = frozenset()  # ("decimal", ","), ("group", ".") of columns.


@dataclass(frozen=True)
class ColumnCells:
    """One column being decided: where its cells are, what they look like, what the file says."""

    connection: duckdb.DuckDBPyConnection
    table: str
    source: str
    name: str
    seen: ColumnShapes
    context: FileContext

    def count(self, condition: str) -> int:
        """How many filled cells meet a SQL condition."""
        row = self.connection.execute(
            f"SELECT count(*) FROM {self.table}"
            f" WHERE {trimmed(self.source)} <> '' AND ({condition})"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def count_distinct(self, expression: str) -> int:
        row = self.connection.execute(
            f"SELECT count(DISTINCT {expression}) FROM {self.table}"
        ).fetchone()
        assert row is not None
        return int(row[0])


def summarize_columns(
    connection: duckdb.DuckDBPyConnection, table: str, sources: Sequence[str]
) -> dict[str, ColumnShapes]:
    """Group the cells of these columns by shape. One that a sample shows to be text is not read
    whole, and of a table that is no longer than the sample none is read twice."""
    seen: dict[str, ColumnShapes] = {}
    for chunk in batched(sources, COLUMNS_AT_ONCE):
        columns = ", ".join(chunk)
        sample = f"(SELECT {columns} FROM {table} LIMIT {SAMPLE_ROWS})"
        seen |= _count_shapes(connection, sample, chunk)
    row = connection.execute(f"SELECT count(*) > {SAMPLE_ROWS} FROM {table}").fetchone()
    assert row is not None
    for source in sources if row[0] else ():
        if _numeric_share(seen[source]) >= MIN_NUMERIC_SHARE:
            plain = _count_plain_shapes(connection, table, source)
            seen |= {source: plain} if plain else _count_shapes(connection, table, [source])
    return seen


def _count_plain_shapes(
    connection: duckdb.DuckDBPyConnection, table: str, source: str
) -> ColumnShapes | None:
    """The shapes of a column of plain numbers and ISO dates only; None for any other, which is
    counted cell by cell at four times the cost.

    Such cells have one shape where length and marks are the same.
    """
    rows = connection.execute(
        f"SELECT regexp_full_match({source}, '{PLAIN_CELL}') AS fits, strlen({source}),"
        f" instr({source}, '.'), instr({source}, '-'), {source} SIMILAR TO '-?0.*',"
        f" right({source}, 1) = '0', count(*), any_value({source})"
        f" FROM {table} WHERE {source} <> '' GROUP BY ALL"
    ).fetchall()
    if not rows or len(rows) > MAX_SHAPES or not all(fits for fits, *_ in rows):
        return None
    shapes = [
        CellShape(
            re.sub(r"\d", "9", example),
            re.search(STARTS_WITH_ZERO, example) is not None,
            re.search(ENDS_WITH_ZERO, example) is not None,
            times,
            example,
        )
        for *_, times, example in rows
    ]
    return ColumnShapes(sorted(shapes, key=lambda one: (-one.count, one.pattern)), {}, 0)


def _count_shapes(
    connection: duckdb.DuckDBPyConnection, table: str, sources: Sequence[str]
) -> dict[str, ColumnShapes]:
    """One query for all of them: planning one costs more than counting a few thousand cells."""
    rows = connection.execute(
        f"WITH cells AS (UNPIVOT (SELECT {', '.join(sources)} FROM {table})"
        f" ON {', '.join(sources)} INTO NAME source VALUE raw),"
        f" filled AS (SELECT source, {trimmed('raw')} AS cell FROM cells),"
        f" cut AS (SELECT source, if(strlen(cell) > {MAX_SHAPE_LENGTH}, 'x', cell) AS cell"
        " FROM filled WHERE cell <> ''),"
        # Zeros are kept first: cells with zeros in the same places share what is asked about them.
        " alike AS (SELECT source, translate(cell, '123456789', '999999999') AS shape,"
        " count(*) AS times, any_value(cell) AS example FROM cut GROUP BY ALL),"
        " shapes AS (SELECT source, replace(shape, '0', '9') AS shape,"
        f" regexp_matches(shape, '{STARTS_WITH_ZERO}') AS starts_with_zero,"
        f" regexp_matches(shape, '{ENDS_WITH_ZERO}') AS ends_with_zero,"
        " sum(times)::BIGINT AS times, any_value(example) AS example FROM alike"
        " GROUP BY source, 2, 3, 4)"
        " SELECT source, sum(times) OVER (PARTITION BY source)::BIGINT, shape, starts_with_zero,"
        " ends_with_zero, times, example FROM shapes"
        " QUALIFY row_number() OVER (PARTITION BY source ORDER BY times DESC, shape)"
        f" <= {MAX_SHAPES + 1} ORDER BY source, times DESC, shape"
    ).fetchall()
    found = {source: [*group] for source, group in groupby(rows, key=lambda row: row[0])}
    return {source: _summarize(found.get(source, [])) for source in sources}


def _summarize(rows: list[tuple[Any, ...]]) -> ColumnShapes:
    """Of one column: (source, filled cells of the column, then the fields of CellShape)."""
    total = rows[0][1] if rows else 0
    markers = {row[2]: row[5] for row in rows if row[2].lower() in MISSING_MARKERS}
    shapes = [CellShape(*row[2:]) for row in rows[:MAX_SHAPES] if row[2] not in markers]
    counted = sum(shape.count for shape in shapes) + sum(markers.values())
    return ColumnShapes(shapes, markers, total - counted)


def _numeric_share(seen: ColumnShapes) -> float:
    """The share of cells that look like a number or a date in any format."""
    count = sum(
        shape.count
        for shape in seen.shapes
        if any(each.match(shape) for each in FORMATS) or fitting_dates([shape.pattern])
    )
    return (count + seen.marker_count) / seen.filled if seen.filled else 0.0
