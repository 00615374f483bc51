"""Rows as the dataset's page draws them: heads that sort, cells that read, links to more."""

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
    version: DatasetVersion, found: RowsPage, query: RowQuery, sent: QueryDict
) -> RowTable:
    """The page in the words of a template; links keep what was sent."""
    moments = {column["name"] for column in version.columns if column["type"] == "datetime"}
    return RowTable(
        heads=[_head(version, name, query, sent) for name in list(found.columns)[:MAX_COLUMNS]],
        rows=[
            (row.number + 1, _cells(list(found.columns), list(row.cells), moments))
            for row in found.rows
        ],
        matching=found.matching,
        is_counted=found.is_counted,
        page=found.page,
        pages=found.pages,
        newer=_with(sent, page=str(found.page - 1)) if found.page > 1 else "",
        older=_with(sent, page=str(found.page + 1)) if found.has_more else "",
    )


def _cells(names: list[str], values: list[Any], moments: set[str]) -> list[Cell]:
    """Moments with a blank between day and time, where a narrow column may break."""
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
    turned = is_sorted and not query.is_descending
    direction = "descending" if query.is_descending else "ascending"
    return ColumnHead(
        name=name,
        type=str(types.get(name, "")),
        is_long=(lengths.get("mean") or 0) > LONG_TEXT,
        sort_query=_with(sent, sort=f"-{name}" if turned else name, page="1"),
        sorted=direction if is_sorted else "",
        bars=bars,
        bars_are=words,
    )


def _with(sent: QueryDict, **changes: str) -> str:
    query = sent.copy()
    for name, value in changes.items():
        query[name] = value
    return query.urlencode()
