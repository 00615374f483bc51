"""Rows as the dataset's page shows them: heads with links that sort, cells, links to more pages."""

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from projects.models import DatasetVersion
from projects.queries.cells import Cell, display_cell
from projects.queries.column_bars import Bar, column_bars
from projects.queries.rows import RowQuery, RowsPage

LONG_TEXT = 40  # Letters on average, from which a column is shown wider.
MAX_COLUMNS = 50


@dataclass(frozen=True)
class ColumnHead:
    name: str
    type: str
    is_long: bool
    sort_query: str  # Of the address that sorts by it, the other way round when it does already.
    sorted: str  # "ascending", "descending" or "".
    bars: list[Bar]  # How its values are spread; empty where nearly all differ.
    bars_are: str  # In words, for those who do not see them.


@dataclass(frozen=True)
class RowTable:
    heads: list[ColumnHead]
    rows: list[tuple[int, list[Cell]]]  # The number in the file, from 1, and the cells.
    matching: int
    is_counted: bool  # Else more rows match than `matching`.
    page: int
    pages: int
    newer: str  # Query of the page before; "" on the first.
    older: str


def build_row_table(
    version: DatasetVersion, page: RowsPage, query: RowQuery, sent: QueryDict
) -> RowTable:
    """The page as its template uses it; links keep the other parameters of the request."""
    moments = {column["name"] for column in version.columns if column["type"] == "datetime"}
    return RowTable(
        heads=[_head(version, name, query, sent) for name in list(page.columns)[:MAX_COLUMNS]],
        rows=[
            (row.number + 1, _cells(list(page.columns), list(row.cells), moments))
            for row in page.rows
        ],
        matching=page.matching,
        is_counted=page.is_counted,
        page=page.page,
        pages=page.pages,
        newer=_with(sent, page=str(page.page - 1)) if page.page > 1 else "",
        older=_with(sent, page=str(page.page + 1)) if page.has_more else "",
    )


def _cells(names: list[str], values: list[Any], moments: set[str]) -> list[Cell]:
    """The first MAX_COLUMNS cells. Those of columns in `moments` have a blank between day and time,
    where a narrow column may break the line."""
    return [
        display_cell(
            value.replace("T", " ", 1) if name in moments and isinstance(value, str) else value
        )
        for name, value in list(zip(names, values, strict=True))[:MAX_COLUMNS]
    ]


def _head(version: DatasetVersion, name: str, query: RowQuery, sent: QueryDict) -> ColumnHead:
    types = {column["name"]: column["type"] for column in version.columns}
    profile = {column["name"]: column for column in version.profile.get("columns", [])}
    own = profile.get(name, {})
    lengths = own.get("lengths") or {}
    bars, words = column_bars(own, version.rows or 0)
    is_sorted = query.sort == name
    sorts_descending = is_sorted and not query.is_descending
    direction = "descending" if query.is_descending else "ascending"
    return ColumnHead(
        name=name,
        type=str(types.get(name, "")),
        is_long=(lengths.get("mean") or 0) > LONG_TEXT,
        sort_query=_with(sent, sort=f"-{name}" if sorts_descending else name, page="1"),
        sorted=direction if is_sorted else "",
        bars=bars,
        bars_are=words,
    )


def _with(sent: QueryDict, **changes: str) -> str:
    """The query string of these parameters with changes."""
    query = sent.copy()
    for name, value in changes.items():
        query[name] = value
    return query.urlencode()
