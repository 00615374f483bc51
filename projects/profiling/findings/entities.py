"""Finds texts that still hold HTML entities, such as &amp;, as text copied from web pages does."""

from collections.abc import Sequence
from typing import Any, cast

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import batched, quote_identifier, quote_literal
from projects.reading.html_entities import PATTERN, decode_entities
from projects.reading.results import Edit

COLUMNS_AT_ONCE = 50
MAX_SHOWN_CHARS = 60


def find_entities(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of texts with entities. They are decoded only on request, as in a
    text about HTML they belong there."""
    names = [column["name"] for column in columns if column["type"] in ("text", "json")]
    warnings = []
    for group in batched(_with_ampersands(connection, table, names), COLUMNS_AT_ONCE):
        for name, (count, filled, example) in _count_cells(connection, table, group).items():
            warnings.append(_finding(name, count, filled, example))
    return warnings


def _with_ampersands(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]
) -> list[str]:
    """The columns that may hold entities: making the pattern ready takes milliseconds for each."""
    if not names:
        return []
    measures = ", ".join(f"bool_or(contains({quote_identifier(name)}, '&'))" for name in names)
    row = connection.execute(f"SELECT {measures} FROM {table}").fetchone()
    return [name for name, has_some in zip(names, row or (), strict=True) if has_some]


def _count_cells(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]
) -> dict[str, tuple[int, int, str]]:
    """For each column with entities: how many cells hold some, how many cells are filled, and the
    first entity."""
    measures = []
    for name in names:
        cell, pattern = quote_identifier(name), quote_literal(PATTERN)
        # Few texts hold an ampersand, and looking for that first is quick.
        has_entity = f"contains({cell}, '&') AND regexp_matches({cell}, {pattern})"
        measures.append(
            f"count(*) FILTER ({has_entity}), count({cell}),"
            f" first(regexp_extract({cell}, {pattern})) FILTER ({has_entity})"
        )
    row = connection.execute(f"SELECT {', '.join(measures)} FROM {table}").fetchone()
    values = cast(tuple[Any, ...], row)
    groups = zip(names, values[::3], values[1::3], values[2::3], strict=True)
    return {name: (count, filled, example) for name, count, filled, example in groups if count}


def _finding(name: str, count: int, filled: int, example: str) -> ProfileWarning:
    decoded = decode_entities(example)
    edits: list[Edit] = [{"op": "decode_entities", "column": name}]
    return {
        "code": "html_entities",
        "sentence": f"HTML entities, such as {example} for {decoded!r}, stand in {count:,} of"
        f" {filled:,} cells of {name}.",
        "advice": "A model learns them as they stand, but will be asked with the characters."
        " Decode them, unless the texts are about HTML.",
        "fix": {"title": f"Decode them in {name}", "edits": edits},
    }
