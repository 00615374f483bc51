"""Pages through the rows of a version, filtered, searched and sorted, be there millions of them.

DuckDB finds the numbers of the rows, reading only the columns that decide; Parquet then gives
those rows, reading only the row groups that hold them.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal, cast

import duckdb
import pyarrow.parquet as pq
from django.core.cache import cache

from projects import storage
from projects.errors import BadRowQuery
from projects.models import DatasetVersion
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.tables import connect_duckdb

Operator = Literal["is", "is_not", "contains", "less", "more", "missing", "filled"]
OPERATORS: dict[Operator, str] = {
    "is": "{column}::VARCHAR = ?",
    "is_not": "{column}::VARCHAR IS DISTINCT FROM ?",
    "contains": "",  # See _build_contains.
    "less": "{column} < CAST(? AS {type})",
    "more": "{column} > CAST(? AS {type})",
    "missing": "{column} IS NULL",
    "filled": "{column} IS NOT NULL",
}
SQL_TYPES = {
    "integer": "DOUBLE", "number": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP",
    "boolean": "BOOLEAN",
}  # fmt: skip
# Of English. Without i and k, into which letters of other alphabets turn in lower case.
LETTERS_RARE_FIRST = "qzxjvbpygfwmucldrhsnoate"
SEARCHED_TYPES = ("text", "json")
MAX_PAGE_SIZE = 200
MAX_FILTERS = 20
CACHE_SECONDS = 24 * 3600
THREADS = min(4, os.cpu_count() or 1)
Cell = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """What a row's cell must be. `missing` and `filled` take no value."""

    column: str
    operator: Operator
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class RowQuery:
    """Which rows, in which order, and which page of them. `search` looks into all text columns,
    in any case. Without `sort` rows come as they stand in the file."""

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
    """One page. `matching` counts the rows of all pages; pictures have None for their cell."""

    columns: Sequence[str]
    rows: Sequence[Row]
    page: int
    page_size: int
    matching: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.matching // self.page_size))


def load_rows(version: DatasetVersion, query: RowQuery) -> RowsPage:
    """One page of a ready version's rows. Raises BadRowQuery for what the version has not."""
    _validate(version, query)
    columns = [column["name"] for column in version.columns]
    with storage.local_file(version.parquet_key) as path:
        numbers, matching = _find_numbers(version, query, path)
        rows = read_rows(path, numbers, columns, _image_columns(version))
    return RowsPage(columns, rows, query.page, query.page_size, matching)


def matching_numbers(version: DatasetVersion, query: RowQuery, limit: int) -> list[int]:
    """The numbers of all rows that match, whatever the page. Raises BadRowQuery for more."""
    everything = replace(query, page=1, page_size=MAX_PAGE_SIZE, sort="")
    _validate(version, everything)
    with storage.local_file(version.parquet_key) as path:
        numbers, matching = _find_numbers(version, replace(everything, page_size=limit), path)
    if matching > limit:
        raise BadRowQuery(
            f"{matching:,} rows match; at most {limit:,} are changed at once. Filter further."
        )
    return numbers


def count_by_value(
    version: DatasetVersion, column: str, limit: int = 100
) -> list[tuple[str | None, int]]:
    """The column's values with their rows, the most frequent first: what a filter offers."""
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
    """These rows in this order, from the row groups that hold them."""
    file = pq.ParquetFile(path)
    read = [name for name in columns if name not in left_out]
    wanted = sorted(set(numbers))
    found: dict[int, dict[str, object]] = {}
    start = place = 0
    for group in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        inside = []
        while place < len(wanted) and wanted[place] < end:
            inside.append(wanted[place])
            place += 1
        if inside:
            table = file.read_row_group(group, columns=read)
            values = table.take([number - start for number in inside]).to_pylist()
            found.update(zip(inside, values, strict=True))
        start = end
    return [
        Row(number, [to_cell(found[number].get(name)) for name in columns]) for number in numbers
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
    for one in query.filters:
        kind = _require_column(version, one.column)
        if one.operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise BadRowQuery(
                f"There is no filter {one.operator!r}. Known: {known}.", param="filters"
            )
        if one.operator in ("less", "more") and kind not in SQL_TYPES:
            raise BadRowQuery(
                f"Column {one.column!r} holds {kind}: less and more are for numbers and dates.",
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


def _image_columns(version: DatasetVersion) -> list[str]:
    return [column["name"] for column in version.columns if column["type"] == "image"]


def _find_numbers(version: DatasetVersion, query: RowQuery, path: Path) -> tuple[list[int], int]:
    """The numbers of the page's rows, and how many rows match in all."""
    first, total = (query.page - 1) * query.page_size, version.rows or 0
    condition, values = _build_condition(version, query)
    if not condition and not query.sort:
        return list(range(first, min(first + query.page_size, total))), total
    where = f" WHERE {condition}" if condition else ""
    table = f"read_parquet({quote_literal(str(path))}, file_row_number = true)"
    order = ""
    if query.sort:
        direction = "DESC" if query.is_descending else "ASC"
        order = f" ORDER BY {quote_identifier(query.sort)} {direction} NULLS LAST, file_row_number"
    with connect() as connection:
        try:
            rows = connection.execute(
                f"SELECT file_row_number FROM {table}{where}{order} LIMIT ? OFFSET ?",
                [*values, query.page_size, first],
            ).fetchall()
            is_last = len(rows) < query.page_size and (rows or not first)
            matching = (
                first + len(rows)  # The page says it already: the table is not read again.
                if is_last
                else _count_matching(connection, version, query, f"{table}{where}", values)
            )
        except (duckdb.ConversionException, duckdb.InvalidInputException):
            raise BadRowQuery(
                "A filter's value does not fit its column.", param="filters"
            ) from None
    return [number for (number,) in rows], matching


def _build_condition(version: DatasetVersion, query: RowQuery) -> tuple[str, list[str]]:
    """SQL that holds for the rows wanted, and the values of its parameters."""
    types = {column["name"]: column["type"] for column in version.columns}
    parts, values = [], []
    if search := query.search.strip():
        looked = [
            _build_contains(quote_identifier(name), search)
            for name, kind in types.items()
            if kind in SEARCHED_TYPES
        ]
        parts.append(f"({' OR '.join(f'({one})' for one, _ in looked) or 'false'})")
        values += [value for _, bound in looked for value in bound]
    for one in query.filters:
        if one.operator == "contains":
            part, bound = _build_contains(f"{quote_identifier(one.column)}::VARCHAR", one.value)
            parts.append(part)
            values += bound
            continue
        template = OPERATORS[one.operator]
        kind = SQL_TYPES.get(types[one.column], "VARCHAR")
        parts.append(template.format(column=quote_identifier(one.column), type=kind))
        values += [one.value] * template.count("?")
    return " AND ".join(parts), values


def _build_contains(text: str, wanted: str) -> tuple[str, list[str]]:
    """SQL for a text that holds the wanted one in any case, and its parameters.

    Making a text lower case costs many times what looking for two letters does: their rarest pair
    is looked for first, in each case.
    """
    exact = f"contains(lower({text}), lower(?))"
    pairs = [wanted[place : place + 2].lower() for place in range(len(wanted) - 1)]
    pairs = [pair for pair in pairs if all(letter in LETTERS_RARE_FIRST for letter in pair)]
    if not pairs:
        return exact, [wanted]
    pair = min(pairs, key=lambda pair: sum(map(LETTERS_RARE_FIRST.index, pair)))
    spelled = [pair, pair.capitalize(), pair.upper(), pair.capitalize().swapcase()]
    quick = " OR ".join([f"contains({text}, ?)"] * len(spelled))
    # Most that match are written as the wanted text is.
    full = f"contains({text}, ?) OR " + exact
    return " AND ".join([f"({quick})", f"({full})"]), [*spelled, wanted, wanted]


def _count_matching(
    connection: duckdb.DuckDBPyConnection,
    version: DatasetVersion,
    query: RowQuery,
    source: str,
    values: Sequence[str],
) -> int:
    """Versions never change, so a count is kept for the next pages."""
    if not query.search.strip() and not query.filters:
        return version.rows or 0
    asked = json.dumps([query.search, [asdict(one) for one in query.filters]])
    key = f"rows:{version.pk}:{hashlib.sha256(asked.encode()).hexdigest()}"
    known = cast(int | None, cache.get(key))
    if known is None:
        row = connection.execute(f"SELECT count(*) FROM {source}", list(values)).fetchone()
        known = int(row[0]) if row else 0
        cache.set(key, known, CACHE_SECONDS)
    return known


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB with bounded memory and a folder of its own to spill into."""
    with (
        tempfile.TemporaryDirectory(prefix="rows-") as folder,
        connect_duckdb(Path(folder), memory="512MB") as connection,
    ):
        connection.execute(f"SET threads = {THREADS}")
        yield connection


def parse_filters(sent: object) -> list[RowFilter]:
    """Filters out of JSON: [{"column": …, "operator": …, "value": …}]. Raises BadRowQuery."""
    wrong = BadRowQuery(
        'filters must be a JSON list such as [{"column": "a", "operator": "is", "value": "b"}].',
        param="filters",
    )
    if not isinstance(sent, list):
        raise wrong
    filters = []
    for one in sent:
        if not isinstance(one, Mapping) or not set(one) <= {"column", "operator", "value"}:
            raise wrong
        operator = str(one.get("operator", "is"))
        filters.append(
            RowFilter(
                column=str(one.get("column", "")),
                operator=cast(Operator, operator),
                value=_value_text(one.get("value", "")),
            )
        )
    return filters


def _value_text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
