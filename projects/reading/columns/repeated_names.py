"""Columns of one name: Jira and others write a list as `Labels,Labels,Labels`, a value in each.

Read as one list where the cells are short values, filled from the left, that recur from column to
column. Where only some of that holds, a person is asked. Other columns of one name, such as the
comments of a ticket, keep a column each.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from projects.reading.columns.column import COLUMNS, LIST, Column, Question
from projects.reading.columns.sql import trimmed

MAX_MEAN_LENGTH, MAX_LONG_LENGTH, MAX_MEAN_WORDS = 25, 60, 3.0
MIN_RECURRING = 0.3  # Of the values beyond the first column that other columns hold as well.
MAX_LISTED = 5
COUNTED_BY_PANDAS = re.compile(r"(.+)\.([1-9]\d{0,2})")  # Labels, Labels.1, Labels.2


@dataclass(frozen=True)
class _CellMeasures:
    """Measures of the cells of all columns that have one name."""

    are_short: bool
    are_packed: bool  # In no row is a cell filled to the right of an empty one.
    have_gaps: bool  # In some row the first cell is filled and the last one is empty.
    recurring: float  # The share of values beyond the first column that other columns hold too.


def merge_repeated(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[Column],
    chosen: Mapping[str, str],
    used: Collection[str],
) -> list[Column]:
    """The columns, where columns of one name that form a list became one column. Each has its
    `source`. A column whose name is in `used`, such as Labels_2, is not merged: a person's choices
    refer to it."""
    placed = [
        replace(column, source=column.source or f"c{place}") for place, column in enumerate(columns)
    ]
    merged: dict[str, Column] = {}
    dropped: set[str] = set()
    for group in _groups(placed):
        if any(column.name in used for column in group[1:]):
            continue
        first = _decide(connection, table, group, chosen.get(group[0].name, ""))
        merged[first.name] = first
        if first.reading == LIST.name:
            dropped |= {column.name for column in group[1:]}
    return [merged.get(column.name, column) for column in placed if column.name not in dropped]


def _groups(columns: Sequence[Column]) -> list[list[Column]]:
    names = {column.original_name.strip() for column in columns}
    groups: dict[str, list[Column]] = {}
    for column in columns:
        name = column.original_name.strip()
        counted = COUNTED_BY_PANDAS.fullmatch(name)
        groups.setdefault(counted[1] if counted and counted[1] in names else name, []).append(
            column
        )
    return [group for name, group in groups.items() if name and len(group) > 1]


def _decide(
    connection: duckdb.DuckDBPyConnection, table: str, group: list[Column], choice: str
) -> Column:
    """The first of these columns: as the list of all, with a question, or with a note."""
    first = group[0]
    source = _list_sql([column.source for column in group])
    as_list = replace(
        first, type="json", expression=source, source=source, reading=LIST.name, question=None,
        notes=[f"{len(group):,} columns of the name {first.name!r} were read as one list."],
        issue_code="repeated_names", check="", missing_markers=(), missing_marker_count=0,
    )  # fmt: skip
    if choice in (LIST.name, COLUMNS.name):
        return as_list if choice == LIST.name else first
    cells = _measure_cells(connection, table, [column.source for column in group])
    are_values = all(column.type in ("text", "boolean") for column in group)
    if cells.are_short and cells.are_packed and cells.have_gaps and are_values:
        if cells.recurring >= MIN_RECURRING:
            return as_list
        return _with_question(first, source, len(group))
    if cells.are_short and cells.have_gaps and cells.recurring >= MIN_RECURRING:
        return _with_question(first, source, len(group))
    names = ", ".join(repr(column.name) for column in group[:MAX_LISTED])
    more = " …" if len(group) > MAX_LISTED else ""
    note = f"{len(group):,} columns have this name. They are kept apart as {names}{more}."
    if all(first.original_name.strip() == column.original_name.strip() for column in group):
        return replace(first, notes=[*first.notes, note], issue_code="repeated_names")
    return first


def _with_question(first: Column, source: str, count: int) -> Column:
    sentence = (
        f"{count:,} columns have the name {first.name!r}. Are they one list of labels, a label in"
        " each, or columns of their own?"
    )
    question = Question("repeated_names", sentence, [LIST, COLUMNS])
    if first.question is not None:
        return first  # How its cells are read comes first.
    return replace(first, source=source, question=question)


def _list_sql(sources: Sequence[str]) -> str:
    """SQL for the filled cells of a row as a list in JSON; NULL where all are empty."""
    cells = ", ".join(f"nullif({trimmed(source)}, '')" for source in sources)
    filled = f"list_filter([{cells}], lambda cell: cell IS NOT NULL)"
    return f"CASE WHEN len({filled}) > 0 THEN to_json({filled})::VARCHAR END"


def _measure_cells(
    connection: duckdb.DuckDBPyConnection, table: str, sources: Sequence[str]
) -> _CellMeasures:
    cells = [f"nullif({trimmed(source)}, '')" for source in sources]
    holes = " OR ".join(
        f"({later} IS NOT NULL AND {earlier} IS NULL)"
        for earlier, later in zip(cells, cells[1:], strict=False)
    )
    gaps = f"{cells[0]} IS NOT NULL AND {cells[-1]} IS NULL"
    row = connection.execute(
        f"SELECT count(*) FILTER ({holes}), count(*) FILTER ({gaps}) FROM {table}"
    ).fetchone() or (0, 0)
    values = " UNION ALL ".join(
        f"SELECT {place} AS place, {cell} AS cell FROM {table} WHERE {cell} IS NOT NULL"
        for place, cell in enumerate(cells)
    )
    totals = connection.execute(
        "SELECT avg(length(cell)), max(length(cell)), avg(length(cell) - length(replace(cell, ' ',"
        " '')) + 1), count(*) FILTER (place > 0),"
        " count(*) FILTER (place > 0 AND places > 1) FROM"
        f" (SELECT place, cell, count(DISTINCT place) OVER (PARTITION BY cell) AS places"
        f" FROM ({values}))"
    ).fetchone()
    mean, longest, words, later, shared = (number or 0 for number in totals or [0] * 5)
    return _CellMeasures(
        are_short=0 < mean <= MAX_MEAN_LENGTH
        and longest <= MAX_LONG_LENGTH
        and words <= MAX_MEAN_WORDS,
        are_packed=not row[0],
        have_gaps=bool(row[1]),
        recurring=shared / later if later else 0.0,
    )
