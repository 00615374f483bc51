"""Finds texts that still hold HTML tags, such as <br>, as texts of web pages and e-mails do."""

from collections.abc import Sequence
from typing import Any, cast

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import batched, quote_identifier, quote_literal
from projects.reading.fixes.html_tags import PATTERN

COLUMNS_AT_ONCE = 50


def find_tags(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of texts with tags. They are stripped only on request, as in a
    text about HTML they belong there."""
    names = [column["name"] for column in columns if column["type"] in ("text", "json")]
    warnings: list[ProfileWarning] = []
    for group in batched(_with_tags(connection, table, names), COLUMNS_AT_ONCE):
        measures = []
        for name in group:
            cell, pattern = quote_identifier(name), quote_literal(PATTERN)
            has_tag = f"contains({cell}, '<') AND regexp_matches({cell}, {pattern})"
            measures.append(
                f"count(*) FILTER ({has_tag}), count({cell}),"
                f" first(regexp_extract({cell}, {pattern})) FILTER ({has_tag})"
            )
        row = connection.execute(f"SELECT {', '.join(measures)} FROM {table}").fetchone()
        values = cast(tuple[Any, ...], row)
        groups = zip(group, values[::3], values[1::3], values[2::3], strict=True)
        warnings += [_finding(*found) for found in groups if found[1]]
    return warnings


def _with_tags(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]
) -> list[str]:
    """The columns that may hold tags: looking for one letter is quick."""
    if not names:
        return []
    measures = ", ".join(f"bool_or(contains({quote_identifier(name)}, '<'))" for name in names)
    row = connection.execute(f"SELECT {measures} FROM {table}").fetchone()
    return [name for name, has_some in zip(names, row or (), strict=True) if has_some]


def _finding(name: str, count: int, filled: int, example: str) -> ProfileWarning:
    return {
        "code": "html_tags",
        "sentence": f"HTML tags, such as {example[:40]}, stand in {count:,} of {filled:,} cells of"
        f" {name}.",
        "advice": "A model learns them as they stand, but will be asked with plain text. Strip"
        " them, unless the texts are about HTML.",
        "fix": {
            "title": f"Strip them from {name}",
            "edits": [{"op": "strip_tags", "column": name}],
        },
    }
