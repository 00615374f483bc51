"""The cells of a column by their shape: digits become 9, and cells that look alike are counted."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import duckdb

from engine.data.cell_text import MISSING_MARKERS
from projects.reading.columns.date_formats import fitting_dates
from projects.reading.columns.number_formats import CellShape, is_number
from projects.reading.columns.precision import MAX_DIGITS, keeps_digits_sql
from projects.reading.columns.sql import batched, trimmed

SAMPLE_ROWS = 2_000
MAX_SHORT_CELLS = 200_000  # Of a table whose columns are measured all at once.
COLUMNS_AT_ONCE = 200
MIN_NUMERIC_SHARE = 0.45  # Of a sample; below it a column is text and not read whole.
MAX_SHAPES = 400
STARTS_WITH_ZERO, ENDS_WITH_ZERO = "^[^0-9]*0[^a-zA-Z]*[0-9]", "[.,][0-9]*0[^0-9]*$"
PLAIN_CELL = r"-?(0|[1-9]\d{0,14})([.]\d{1,15})?|[1-9]\d{3}-\d\d-\d\d"
# The shapes of dates, and how their cells are written. Years of other calendars, such as 2567 and
# 1403, are none of these; 2999 and 9999 stand for no end.
_PLAIN_DAY = r"(1[5-9]\d\d|2[0-3]\d\d|2999|9999)-\d\d-\d\d"
PLAIN_DATES = (
    ("9999-99-99", _PLAIN_DAY),
    (
        r"9999-99-99[ T]99:99(:99([.]9{1,6})?)?",
        rf"{_PLAIN_DAY}[ T]\d\d:\d\d(:\d\d([.]\d{{1,6}})?)?",
    ),
)
UNPIVOTED_CELLS = "unpivoted_cells"
MAX_SINGLE_READS = 4  # Of a table that has to be read whole for each.
MAX_SHAPE_LENGTH = 40  # No number or date is longer; what is, makes a column text.

Expression = Callable[[str], str]  # Makes SQL of the SQL for a cell.


@dataclass(frozen=True)
class ColumnShapes:
    """The shapes of one column's cells, without blank cells."""

    shapes: list[CellShape]
    markers: dict[str, int]  # Missing markers as written, and how often.
    other_count: int  # Cells of shapes beyond MAX_SHAPES, or of a column that is plainly text.
    has_valid_dates: bool = False  # All cells are ISO dates, and each of them a day that was.
    check: str = ""  # SQL for what a sample shows and every cell has yet to fulfil.

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
    is_thai: bool = False  # Names or short cells are Thai.


@dataclass
class ShortTable:
    """A table of few cells. What is asked about one of its columns is computed for all of them, as
    planning a query costs more than reading the cells, and columns are often asked the same."""

    connection: duckdb.DuckDBPyConnection
    table: str
    sources: Sequence[str]  # Of the columns.
    is_unpivoted: bool = False
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, connection: duckdb.DuckDBPyConnection, table: str, sources: Sequence[str]
    ) -> "ShortTable | None":
        """These columns of a table as a short one; None where it is long."""
        limit = min(SAMPLE_ROWS, MAX_SHORT_CELLS // max(1, len(sources)))
        rows = connection.execute(f"SELECT 1 FROM {table} LIMIT {limit + 1}").fetchall()
        return cls(connection, table, sources) if len(rows) <= limit else None

    def measure(self, aggregate: str, source: str) -> Any:
        """The value of an aggregate of `cell`, for one of the columns; None without any cells.
        Raises duckdb.Error where it cannot be computed of the cells of some other column."""
        if aggregate not in self._answers:
            self._unpivot()
            rows = self.connection.execute(
                f"SELECT source, {aggregate} FROM {UNPIVOTED_CELLS} GROUP BY source"
            ).fetchall()
            self._answers[aggregate] = dict(rows)
        return self._answers[aggregate].get(source)

    def _unpivot(self) -> None:
        if not self.is_unpivoted:
            columns = ", ".join(self.sources)
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {UNPIVOTED_CELLS} AS UNPIVOT"
                f" (SELECT {columns} FROM {self.table}) ON {columns} INTO NAME source VALUE cell"
            )
            self.is_unpivoted = True


@dataclass(frozen=True)
class ColumnCells:
    """A column to be typed: where its cells are, their shapes, and the file they are from."""

    connection: duckdb.DuckDBPyConnection
    table: str
    source: str
    name: str
    summary: ColumnShapes
    context: FileContext
    short_table: ShortTable | None = None

    def count(self, condition: Expression) -> int:
        """How many filled cells meet a condition."""
        return int(
            self._measure(
                lambda cell: f"count(*) FILTER ({trimmed(cell)} <> '' AND ({condition(cell)}))"
            )
            or 0
        )

    def least(self, expression: Expression) -> int:
        """The least of whole numbers; 0 where there is none."""
        return int(self._measure(lambda cell: f"min({expression(cell)})") or 0)

    def greatest(self, expression: Expression) -> int:
        return int(self._measure(lambda cell: f"max({expression(cell)})") or 0)

    def count_distinct(self, expression: Expression) -> int:
        return int(self._measure(lambda cell: f"count(DISTINCT {expression(cell)})") or 0)

    def example(self, condition: Expression) -> str:
        """The first in alphabetical order of the filled cells that meet a condition."""
        found = self._measure(
            lambda cell: f"min({cell}) FILTER ({trimmed(cell)} <> '' AND ({condition(cell)}))"
        )
        return str(found or "")

    def _measure(self, aggregate: Expression) -> Any:
        if self.short_table is not None:
            with suppress(duckdb.Error):
                return self.short_table.measure(aggregate("cell"), self.source)
        row = self.connection.execute(
            f"SELECT {aggregate(self.source)} FROM {self.table}"
        ).fetchone()
        return row[0] if row else None


def summarize_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    sources: Sequence[str],
    keep: Callable[[], None] | None = None,
    *,
    expects: bool = False,
) -> dict[str, ColumnShapes]:
    """The cells of each of these columns, grouped by shape.

    A column that is plainly text in a sample is not read whole, and a table no longer than the
    sample is read once. `keep` is called before columns are read one by one. With `expects`, a
    column whose sample is written in one plain way is not read whole either: it gets a `check`,
    which the caller has to test on every row.
    """
    summaries: dict[str, ColumnShapes] = {}
    for chunk in batched(sources, COLUMNS_AT_ONCE):
        columns = ", ".join(chunk)
        sample = f"(SELECT {columns} FROM {table} LIMIT {SAMPLE_ROWS})"
        summaries |= _count_shapes(connection, sample, chunk)
    rows = connection.execute(f"SELECT 1 FROM {table} LIMIT {SAMPLE_ROWS + 1}").fetchall()
    if len(rows) <= SAMPLE_ROWS:
        return summaries
    numeric = [
        source for source in sources if _numeric_share(summaries[source]) >= MIN_NUMERIC_SHARE
    ]
    plain: dict[str, ColumnShapes] = {}
    if expects:
        expected = {source: expect_shapes(source, summaries[source]) for source in numeric}
        plain = {source: summary for source, summary in expected.items() if summary.check}
    for chunk in batched([source for source in numeric if source not in plain], COLUMNS_AT_ONCE):
        plain |= _count_plain_shapes(connection, table, chunk)
    others = [source for source in numeric if source not in plain]
    doubtful = [source for source in plain if may_lose_zeros(plain[source].shapes)]
    if keep and len(others) + 2 * len(doubtful) > MAX_SINGLE_READS:
        keep()
    summaries |= plain
    for source in others:
        summaries |= _count_shapes(connection, table, [source])
    return summaries


def expect_shapes(source: str, sample: ColumnShapes) -> ColumnShapes:
    """The sample, with a check for the rest of the column: where every cell passes it, the whole
    column would be decided as the sample is. Without a check where a sample cannot decide."""
    shapes = sample.shapes
    if not shapes or sample.markers or sample.other_count:
        return sample
    for pattern, as_written in PLAIN_DATES:
        if all(re.fullmatch(pattern, shape.pattern) for shape in shapes):
            return replace(sample, has_valid_dates=True, check=_check(source, as_written))
    as_written = _expected_numbers(shapes)
    if not as_written:
        return sample
    # A later cell may have more digits than those of the sample.
    keeps = keeps_digits_sql(source, f"try_cast({source} AS DOUBLE)")
    is_kept = f"CASE WHEN strlen({source}) > {MAX_DIGITS} THEN {keeps} ELSE true END"
    return replace(sample, check=f"({_check(source, as_written)} AND {is_kept})")


def _check(source: str, pattern: str) -> str:
    return f"coalesce(regexp_full_match(nullif({source}, ''), '{pattern}'), true)"


def _expected_numbers(shapes: Sequence[CellShape]) -> str:
    """A pattern for plain numbers that would be decided as these are; "" where there is none."""
    matches = [re.fullmatch(r"-?(9{1,15})(?:[.](9{1,15}))?", shape.pattern) for shape in shapes]
    has_codes = any(
        shape.starts_with_zero and each is not None and len(each[1]) > 1
        for shape, each in zip(shapes, matches, strict=True)
    )
    if has_codes or not all(matches):
        return ""
    lengths = {len(each[2] or "") for each in matches if each}
    whole = r"-?(0|[1-9]\d{0,14})"
    if lengths == {0}:
        return whole
    # 1.234 may be grouped, and 3.10 beside 3.1 a version: those columns are read whole.
    if lengths == {3} or (0 in lengths and lengths == {0, 3}):
        return ""
    if len(lengths) == 1:
        return rf"{whole}[.]\d{{{lengths.pop()}}}"
    if any(shape.ends_with_zero for shape in shapes):
        return ""
    return rf"{whole}([.]\d{{0,14}}[1-9])?"


def may_lose_zeros(shapes: Sequence[CellShape]) -> bool:
    """Whether 3.1 and 3.10 may both be among the cells."""
    lengths = {len(shape.pattern.partition(".")[2]) for shape in shapes} - {0}
    return len(lengths) > 1 and any(shape.ends_with_zero for shape in shapes)


def _count_plain_shapes(
    connection: duckdb.DuckDBPyConnection, table: str, sources: Sequence[str]
) -> dict[str, ColumnShapes]:
    """The shapes of those columns that hold plain numbers and ISO dates only. Others are left to
    `_count_shapes`, which costs four times as much.

    Such cells have one shape where length and marks are the same. All columns are read at once.
    """
    columns = ", ".join(sources)
    is_plain = (
        f"CASE WHEN NOT regexp_full_match(raw, '{PLAIN_CELL}') THEN false"
        " WHEN instr(raw, '-') = 5 THEN try_cast(raw AS DATE) IS NOT NULL ELSE true END"
    )
    rows = connection.execute(
        f"SELECT source, {is_plain} AS fits, strlen(raw), instr(raw, '.'), instr(raw, '-'),"
        " starts_with(raw, '0') OR starts_with(raw, '-0'), right(raw, 1) = '0', count(*),"
        f" any_value(raw) FROM (UNPIVOT (SELECT {columns} FROM {table}) ON {columns}"
        f" INTO NAME source VALUE raw) WHERE raw <> '' GROUP BY ALL ORDER BY source"
    ).fetchall()
    rows_by_source = {source: [*group] for source, group in groupby(rows, key=lambda row: row[0])}
    return {
        source: _describe_plain_shapes(group)
        for source, group in rows_by_source.items()
        if len(group) <= MAX_SHAPES and all(fits for _, fits, *_ in group)
    }


def _describe_plain_shapes(rows: list[tuple[Any, ...]]) -> ColumnShapes:
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
    ordered = sorted(shapes, key=lambda shape: (-shape.count, shape.pattern))
    has_valid_dates = all(shape.pattern == "9999-99-99" for shape in shapes)
    return ColumnShapes(ordered, {}, 0, has_valid_dates)


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
    rows_by_source = {source: [*group] for source, group in groupby(rows, key=lambda row: row[0])}
    return {source: _summarize(rows_by_source.get(source, [])) for source in sources}


def _summarize(rows: list[tuple[Any, ...]]) -> ColumnShapes:
    """The summary of one column. Rows are (source, filled cells of the column, fields of
    CellShape …)."""
    total = rows[0][1] if rows else 0
    markers = {row[6]: row[5] for row in rows if row[6].lower() in MISSING_MARKERS}
    shapes = [CellShape(*row[2:]) for row in rows[:MAX_SHAPES] if row[6] not in markers]
    counted = sum(shape.count for shape in shapes) + sum(markers.values())
    return ColumnShapes(shapes, markers, total - counted)


def _numeric_share(summary: ColumnShapes) -> float:
    """The share of cells that look like a number or a date in any format."""
    count = sum(
        shape.count
        for shape in summary.shapes
        if is_number(shape) or fitting_dates([shape.pattern])
    )
    return (count + summary.marker_count) / summary.filled if summary.filled else 0.0
