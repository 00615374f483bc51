"""Columns whose cells hold lists of objects: which of their fields is a label is asked where
several may be. Where only one may be, training reads it by itself."""

from collections.abc import Sequence
from dataclasses import replace

import duckdb

from engine.data.labels.objects import find_label_keys, label_names_json
from projects.reading.columns.column import KEY_PREFIX, TEXT, Column, Question, Reading
from projects.reading.columns.sql import batched

SAMPLE_CELLS = 2_000
FIRST_ROWS = 100  # One of them shows whether a column holds lists of objects.
COLUMNS_AT_ONCE = 50
MAX_KEYS = 4


def register_label_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `label_names(cell, field)` known to SQL."""
    connection.create_function("label_names", label_names_json, ["VARCHAR", "VARCHAR"], "VARCHAR")


def ask_about_objects(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]
) -> list[Column]:
    """The columns, those with a question whose objects have several fields that may be the label.
    Nothing is asked about a column that a person has decided."""
    asked = [
        f"c{place}"
        for place, column in enumerate(columns)
        if column.type in ("text", "json") and column.question is None and not column.is_chosen
    ]
    found: dict[str, list[str]] = {}
    for group in batched(asked, COLUMNS_AT_ONCE):
        firsts = ", ".join(f"first({one}) FILTER ({one} <> '')" for one in group)
        sample = f"(SELECT {', '.join(group)} FROM {table} LIMIT {FIRST_ROWS})"
        row = connection.execute(f"SELECT {firsts} FROM {sample}").fetchone() or ()
        for source, cell in zip(group, row, strict=True):
            if cell is not None and cell.lstrip().startswith("[{"):
                found[source] = _plausible_keys(connection, table, source)
    return [
        _with_question(column, found.get(f"c{place}", [])) for place, column in enumerate(columns)
    ]


def _plausible_keys(connection: duckdb.DuckDBPyConnection, table: str, source: str) -> list[str]:
    rows = connection.execute(
        f"SELECT {source} FROM {table} WHERE {source} <> '' LIMIT {SAMPLE_CELLS}"
    ).fetchall()
    return find_label_keys(row[0] for row in rows)


def _with_question(column: Column, keys: Sequence[str]) -> Column:
    if len(keys) < 2:
        return column
    sentence = (
        f"Cells of {column.name!r} hold lists of objects. Which of their fields is the label, if"
        " any?"
    )
    readings = [Reading(f"{KEY_PREFIX}{key}", "json") for key in keys[:MAX_KEYS]]
    return replace(column, question=Question("label_key", sentence, [*readings, TEXT]))
