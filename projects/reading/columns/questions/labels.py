"""Asks which field is the label in columns whose cells hold lists of objects, where several fields
may be. Where only one may be, training finds it without a question."""

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
    """The columns, with a question on each whose objects have several fields that may be the label.
    Columns that a person has decided get no question."""
    sources = [
        f"c{place}"
        for place, column in enumerate(columns)
        if column.type in ("text", "json") and column.question is None and not column.is_chosen
    ]
    keys_by_source: dict[str, list[str]] = {}
    for group in batched(sources, COLUMNS_AT_ONCE):
        firsts = ", ".join(f"first({source}) FILTER ({source} <> '')" for source in group)
        sample = f"(SELECT {', '.join(group)} FROM {table} LIMIT {FIRST_ROWS})"
        row = connection.execute(f"SELECT {firsts} FROM {sample}").fetchone() or ()
        for source, cell in zip(group, row, strict=True):
            if cell is not None and cell.lstrip().startswith("[{"):
                rows = connection.execute(
                    f"SELECT {source} FROM {table} WHERE {source} <> '' LIMIT {SAMPLE_CELLS}"
                ).fetchall()
                keys_by_source[source] = find_label_keys(row[0] for row in rows)
    return [
        _with_question(column, keys_by_source.get(f"c{place}", []))
        for place, column in enumerate(columns)
    ]


def _with_question(column: Column, keys: Sequence[str]) -> Column:
    if len(keys) < 2:
        return column
    sentence = (
        f"Cells of {column.name!r} hold lists of objects. Which of their fields is the label, if"
        " any?"
    )
    readings = [Reading(f"{KEY_PREFIX}{key}", "json") for key in keys[:MAX_KEYS]]
    return replace(column, question=Question("label_key", sentence, [*readings, TEXT]))
