"""Pages of a version's rows, filtered, searched and sorted, fast for millions of them, too.

DuckDB finds the numbers of the rows, reading only the columns of the conditions; then these rows
are read from the Parquet file, only in the row groups that hold them.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import cast

import duckdb
import pyarrow.parquet as pq
from django.core.cache import cache

from projects import storage
from projects.errors import BadRowQuery, TooManyRows
from projects.models import DatasetVersion
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.fixes.conditions import OPERATORS, SQL_TYPES, RowFilter, build_condition
from projects.reading.tables import connect_duckdb

MAX_PAGE_SIZE = 200
MAX_FILTERS = 20
CACHE_SECONDS = 24 * 3600
THREADS = min(4, os.cpu_count() or 1)
# Where a table is longer, a search counts at most COUNTED_ROWS: counting all means reading all.
LONG_TABLE_ROWS, COUNTED_ROWS = 500_000, 10_000
# DuckDB stops early at a LIMIT, but reads in one thread up to there: so first this many rows only.
BEGINNING_ROWS = 300_000
Cell = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class RowQuery:
    """Which rows, in which order, and which page of them. `search` is a text that any text column
    contains, in any case. Without `sort` rows come in the order of the file."""

    page: int = 1
    page_size: int = 50
    search: str = ""
    filters: Sequence[RowFilter] = ()
    sort: str = ""
    is_descending: bool = False


@dataclass(frozen=True)
class Row:
    """A row by its number in the file, from 0; its cells in the order of the page's columns."""

    number: int
    cells: Sequence[Cell]


@dataclass(frozen=True)
class RowsPage:
    """One page. `matching` counts the rows of all pages; unless `is_counted`, still more match.
    Cells of pictures are None."""

    columns: Sequence[str]
    rows: Sequence[Row]
    page: int
    page_size: int
    matching: int
    is_counted: bool = True

    @property
    def pages(self) -> int:
        return max(1, -(-self.matching // self.page_size))

    @property
    def has_more(self) -> bool:
        return self.page < self.pages or not self.is_counted


@dataclass(frozen=True)
class _Matches:
    """The numbers of a page's rows, and how many rows match as far as they were counted."""

    numbers: list[int]
    matching: int
    is_counted: bool = True


def load_rows(version: DatasetVersion, query: RowQuery) -> RowsPage:
    """One page of a ready version's rows. Raises BadRowQuery for unknown columns, operators or
    pages, and for values that do not fit their column."""
    _validate(version, query)
    columns = [column["name"] for column in version.columns]
    with storage.local_file(version.parquet_key) as path:
        matches = _find_numbers(version, query, path)
        images = [column["name"] for column in version.columns if column["type"] == "image"]
        rows = read_rows(path, matches.numbers, columns, left_out=images)
    return RowsPage(
        columns, rows, query.page, query.page_size, matches.matching, is_counted=matches.is_counted
    )


def matching_numbers(version: DatasetVersion, query: RowQuery, limit: int) -> list[int]:
    """The numbers of all rows that match, whatever the page. Raises TooManyRows where more than
    `limit` match."""
    everything = replace(query, page=1, page_size=MAX_PAGE_SIZE, sort="")
    _validate(version, everything)
    with storage.local_file(version.parquet_key) as path:
        matches = _find_numbers(version, replace(everything, page_size=limit), path)
    if not matches.is_counted:
        raise TooManyRows(
            f"Over {matches.matching:,} rows match; at most {limit:,} are changed at once."
            " Filter further."
        )
    if matches.matching > limit:
        raise TooManyRows(
            f"{matches.matching:,} rows match; at most {limit:,} are changed at once."
            " Filter further."
        )
    return matches.numbers


def count_by_value(
    version: DatasetVersion, column: str, limit: int = 100
) -> list[tuple[str | None, int]]:
    """The column's values with their numbers of rows, the most frequent first, at most `limit`."""
    _require_column(version, column)
    with storage.local_file(version.parquet_key) as path, connect() as connection:
        rows = connection.execute(
            f"SELECT {quote_identifier(column)}::VARCHAR, count(*) FROM"
            f" read_parquet({quote_literal(str(path))}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?",
            [limit],
        ).fetchall()
    return [(value, count) for value, count in rows]


def read_rows(
    path: Path, numbers: Sequence[int], columns: Sequence[str], left_out: Sequence[str] = ()
) -> list[Row]:
    """These rows in this order, from the row groups that hold them; columns left out are None."""
    file = pq.ParquetFile(path)
    stored_columns = [name for name in columns if name not in left_out]
    sorted_numbers = sorted(set(numbers))
    values_by_row: dict[int, dict[str, object]] = {}
    start = place = 0
    for group in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = []
        while place < len(sorted_numbers) and sorted_numbers[place] < end:
            inside.append(sorted_numbers[place])
            place += 1
        if inside:
            table = file.read_row_group(group, columns=stored_columns)
            values = table.take([number - start for number in inside]).to_pylist()
            values_by_row.update(zip(inside, values, strict=True))
        start = end
    return [
        Row(number, [to_cell(values_by_row[number].get(name)) for name in columns])
        for number in numbers
    ]


def to_cell(value: object) -> Cell:
    """A value that JSON and pages can hold."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _validate(version: DatasetVersion, query: RowQuery) -> None:
    if not 1 <= query.page_size <= MAX_PAGE_SIZE:
        raise BadRowQuery(f"A page has 1 to {MAX_PAGE_SIZE} rows.", param="page_size")
    if query.page < 1 or query.page * query.page_size > 10**12:
        raise BadRowQuery("There is no such page.", param="page")
    if len(query.filters) > MAX_FILTERS:
        raise BadRowQuery(f"At most {MAX_FILTERS} filters are applied.", param="filters")
    for row_filter in query.filters:
        kind = _require_column(version, row_filter.column)
        if row_filter.operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise BadRowQuery(
                f"There is no filter {row_filter.operator!r}. Known: {known}.", param="filters"
            )
        if row_filter.operator in ("less", "more") and kind not in SQL_TYPES:
            raise BadRowQuery(
                f"Column {row_filter.column!r} holds {kind}:"
                " less and more are for numbers and dates.",
                param="filters",
            )
    if query.sort:
        _require_column(version, query.sort, param="sort")


def _require_column(version: DatasetVersion, name: str, param: str = "filters") -> str:
    """The type of a column. Raises BadRowQuery without it."""
    types = {column["name"]: column["type"] for column in version.columns}
    if name not in types:
        raise BadRowQuery(f"This version has no column {name!r}.", param=param)
    return str(types[name])


def _find_numbers(version: DatasetVersion, query: RowQuery, path: Path) -> _Matches:
    first, total = (query.page - 1) * query.page_size, version.rows or 0
    types = {column["name"]: str(column["type"]) for column in version.columns}
    condition, values = build_condition(types, query.search, query.filters)
    if not condition and not query.sort:
        return _Matches(list(range(first, min(first + query.page_size, total))), total)
    where = f" WHERE {condition}" if condition else ""
    table = f"read_parquet({quote_literal(str(path))}, file_row_number = true){where}"
    with connect() as connection:
        try:
            if query.sort:
                return _find_sorted(connection, version, query, table, values)
            if total > LONG_TABLE_ROWS and _reads_texts(query):
                return _find_first(connection, version, query, table, values)
            return _find_and_count(connection, version, query, table, values)
        except (duckdb.ConversionException, duckdb.InvalidInputException):
            raise BadRowQuery(
                "A filter's value does not fit its column.", param="filters"
            ) from None


def _reads_texts(query: RowQuery) -> bool:
    """Whether the query searches in texts, which is far slower than comparing whole values."""
    return bool(query.search.strip()) or any(
        row_filter.operator == "contains" for row_filter in query.filters
    )


def _find_and_count(
    connection: duckdb.DuckDBPyConnection,
    version: DatasetVersion,
    query: RowQuery,
    source: str,
    values: Sequence[str],
    order: str = "",
) -> _Matches:
    first = (query.page - 1) * query.page_size
    rows = connection.execute(
        f"SELECT file_row_number FROM {source}{order} LIMIT ? OFFSET ?",
        [*values, query.page_size, first],
    ).fetchall()
    is_last = len(rows) < query.page_size and (rows or not first)
    matching = (
        first + len(rows)  # Known from the last page: the table is not read again.
        if is_last
        else _count_matching(connection, version, query, source, values)
    )
    return _Matches([number for (number,) in rows], matching)


def _find_first(
    connection: duckdb.DuckDBPyConnection,
    version: DatasetVersion,
    query: RowQuery,
    source: str,
    values: Sequence[str],
) -> _Matches:
    """A page in the order of the file. Only where the beginning of the table does not hold it, the
    rest is read, as far as it takes to count COUNTED_ROWS."""
    first = (query.page - 1) * query.page_size
    end = first + query.page_size
    last = max(end, COUNTED_ROWS)
    passed = first if first >= COUNTED_ROWS else 0
    limits = [*values, last - passed + 1, passed]
    beginning = "" if passed else f" AND file_row_number < {BEGINNING_ROWS}"
    rows = connection.execute(
        f"SELECT file_row_number FROM {source}{beginning} LIMIT ? OFFSET ?", limits
    ).fetchall()
    if not passed and end < len(rows) <= last:
        return _Matches([number for (number,) in rows[first:end]], len(rows), is_counted=False)
    if not passed and len(rows) <= end:
        rows = connection.execute(
            f"SELECT file_row_number FROM {source} ORDER BY file_row_number LIMIT ? OFFSET ?",
            limits,
        ).fetchall()
    if passed and not rows:
        return _Matches([], _count_matching(connection, version, query, source, values))
    numbers = [number for (number,) in rows[first - passed : end - passed]]
    counted = passed + len(rows)
    return _Matches(numbers, min(counted, last), is_counted=counted <= last)


def _find_sorted(
    connection: duckdb.DuckDBPyConnection,
    version: DatasetVersion,
    query: RowQuery,
    source: str,
    values: Sequence[str],
) -> _Matches:
    """A sorted page, with all that match counted in the same reading: both need every row."""
    direction = "DESC" if query.is_descending else "ASC"
    name = quote_identifier(query.sort)
    if not values or _require_column(version, query.sort) not in SQL_TYPES:
        order = f" ORDER BY {name} {direction} NULLS LAST, file_row_number"
        return _find_and_count(connection, version, query, source, values, order)
    first = (query.page - 1) * query.page_size
    rows = connection.execute(
        f"WITH found AS MATERIALIZED (SELECT file_row_number, {name} AS cell FROM {source})"
        " SELECT file_row_number, (SELECT count(*) FROM found) FROM found"
        f" ORDER BY cell {direction} NULLS LAST, file_row_number LIMIT ? OFFSET ?",
        [*values, query.page_size, first],
    ).fetchall()
    if not rows:
        return _Matches([], _count_matching(connection, version, query, source, values))
    return _Matches([number for number, _ in rows], rows[0][1])


def _count_matching(
    connection: duckdb.DuckDBPyConnection,
    version: DatasetVersion,
    query: RowQuery,
    source: str,
    values: Sequence[str],
) -> int:
    """The number of all rows that match. Since versions never change, it is cached."""
    if not query.search.strip() and not query.filters:
        return version.rows or 0
    description = json.dumps([query.search, [asdict(row_filter) for row_filter in query.filters]])
    key = f"rows:{version.pk}:{hashlib.sha256(description.encode()).hexdigest()}"
    count = cast(int | None, cache.get(key))
    if count is None:
        row = connection.execute(f"SELECT count(*) FROM {source}", list(values)).fetchone()
        count = int(row[0]) if row else 0
        cache.set(key, count, CACHE_SECONDS)
    return count


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with bounded memory and a folder of its own to spill into."""
    with (
        tempfile.TemporaryDirectory(prefix="rows-") as folder,
        connect_duckdb(Path(folder), memory="512MB") as connection,
    ):
        connection.execute(f"SET threads = {THREADS}")
        yield connection
