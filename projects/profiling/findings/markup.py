"""Finds texts that still hold HTML, as texts copied from web pages and e-mails do: entities such as
&amp;, and tags such as <br>. They are changed only on request, as in a text about HTML they belong
there."""

from collections.abc import Sequence
from typing import Any, cast

import duckdb

from projects.profiling.profile import ColumnProfile, Fix, ProfileWarning
from projects.reading import html_entities
from projects.reading.columns.sql import batched, quote_identifier, quote_literal
from projects.reading.fixes import html_tags
from projects.reading.html_entities import decode_entities

COLUMNS_AT_ONCE = 50
MAX_SHOWN_CHARS = 40


def find_entities(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of texts with entities."""
    warnings: list[ProfileWarning] = []
    found = _count_cells(connection, table, columns, "&", html_entities.PATTERN)
    for name, (count, filled, example) in found.items():
        decoded = decode_entities(example)
        warnings.append(
            {
                "code": "html_entities",
                "sentence": f"HTML entities, such as {example} for {decoded!r}, stand in {count:,}"
                f" of {filled:,} cells of {name}.",
                "advice": "A model learns them as they stand, but will be asked with the"
                " characters. Decode them, unless the texts are about HTML.",
                "fix": _fix(f"Decode them in {name}", "decode_entities", name),
            }
        )
    return warnings


def find_tags(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of texts with tags."""
    found = _count_cells(connection, table, columns, "<", html_tags.PATTERN)
    return [
        {
            "code": "html_tags",
            "sentence": f"HTML tags, such as {example[:MAX_SHOWN_CHARS]}, stand in {count:,} of"
            f" {filled:,} cells of {name}.",
            "advice": "A model learns them as they stand, but will be asked with plain text. Strip"
            " them, unless the texts are about HTML.",
            "fix": _fix(f"Strip them from {name}", "strip_tags", name),
        }
        for name, (count, filled, example) in found.items()
    ]


def _fix(title: str, operation: str, name: str) -> Fix:
    return {"title": title, "edits": [{"op": operation, "column": name}]}


def _count_cells(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    sign: str,
    pattern: str,
) -> dict[str, tuple[int, int, str]]:
    """For each column of texts that match the pattern, which begins with the sign: how many cells
    do, how many cells are filled, and the first match."""
    names = [column["name"] for column in columns if column["type"] in ("text", "json")]
    counted: dict[str, tuple[int, int, str]] = {}
    for group in batched(_with_sign(connection, table, names, sign), COLUMNS_AT_ONCE):
        measures = []
        for name in group:
            cell, quoted = quote_identifier(name), quote_literal(pattern)
            # Few texts hold the sign, and looking for that first is quick.
            matches = f"contains({cell}, '{sign}') AND regexp_matches({cell}, {quoted})"
            measures.append(
                f"count(*) FILTER ({matches}), count({cell}),"
                f" first(regexp_extract({cell}, {quoted})) FILTER ({matches})"
            )
        row = connection.execute(f"SELECT {', '.join(measures)} FROM {table}").fetchone()
        values = cast(tuple[Any, ...], row)
        groups = zip(group, values[::3], values[1::3], values[2::3], strict=True)
        counted |= {name: (count, *found) for name, count, *found in groups if count}
    return counted


def _with_sign(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], sign: str
) -> list[str]:
    """The columns that may match: making a pattern ready takes milliseconds for each."""
    if not names:
        return []
    measures = ", ".join(f"bool_or(contains({quote_identifier(name)}, '{sign}'))" for name in names)
    row = connection.execute(f"SELECT {measures} FROM {table}").fetchone()
    return [name for name, has_some in zip(names, row or (), strict=True) if has_some]
