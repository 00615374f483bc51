"""Describes open questions: a few cells of each column as each answer would make them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import duckdb

from projects.reading.columns.column import Column, ColumnQuestion, Question
from projects.reading.columns.shapes import SAMPLE_ROWS
from projects.reading.columns.sql import batched, trimmed

QUESTION_SAMPLES, MAX_DROPPED = 5, 3
COLUMNS_AT_ONCE = 100  # Of a short table, in one query.


def describe_questions(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[Column],
    sources: Sequence[str],
) -> list[ColumnQuestion]:
    """The open questions of these columns. `sources`: SQL for the texts of each."""
    asked = [
        (column, column.question, source)
        for column, source in zip(columns, sources, strict=True)
        if column.question is not None
    ]
    if not asked:
        return []
    rows = connection.execute(f"SELECT 1 FROM {table} LIMIT {SAMPLE_ROWS + 1}").fetchall()
    # Columns with the same answers share one query, as planning it costs more than a short table.
    by_readings: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, (_, question, _) in enumerate(asked):
        by_readings[tuple(reading.name for reading in question.readings)].append(place)
    samples: dict[int, list[tuple[Any, ...]]] = {}
    for places in by_readings.values():
        question = asked[places[0]][1]
        for group in batched(places, COLUMNS_AT_ONCE if len(rows) <= SAMPLE_ROWS else 1):
            group_sources = {place: asked[place][2] for place in group}
            samples |= _load_samples(connection, table, group_sources, question)
    return [
        _describe(column, question, samples.get(place, []))
        for place, (column, question, _) in enumerate(asked)
    ]


def _load_samples(
    connection: duckdb.DuckDBPyConnection, table: str, sources: dict[int, str], question: Question
) -> dict[int, list[tuple[Any, ...]]]:
    """For each of these columns, by place, a few rows of (cell, value in each reading). Cells that
    a reading drops or changes come first, as the question is about them."""
    values = [f"({reading.to_sql('cell')})::VARCHAR" for reading in question.readings]
    dropped = " OR ".join(f"{value} IS NULL" for value in values)
    changed = " OR ".join(f"{value} <> cell" for value in values)
    columns = ", ".join(f'({source})::VARCHAR AS "{place}"' for place, source in sources.items())
    cells = (
        f"SELECT DISTINCT place, cell FROM (UNPIVOT (SELECT {columns} FROM {table})"
        f" ON COLUMNS(*) INTO NAME place VALUE cell) WHERE {trimmed('cell')} <> ''"
    )
    ranked = (
        f"SELECT place, cell, ({dropped}) AS is_dropped, ({changed}) AS is_changed FROM ({cells})"
    )
    chosen = (
        f"SELECT * FROM ({ranked}) QUALIFY NOT is_dropped OR row_number() OVER"
        f" (PARTITION BY place, is_dropped ORDER BY length(cell), cell) <= {MAX_DROPPED}"
    )
    # The best of one column are found in a single pass, also among millions.
    order = "is_dropped DESC, is_changed DESC, length(cell) DESC, cell"
    best = f"ORDER BY {order} LIMIT {QUESTION_SAMPLES}"
    if len(sources) > 1:
        number = f"row_number() OVER (PARTITION BY place ORDER BY {order})"
        best = f"QUALIFY {number} <= {QUESTION_SAMPLES} ORDER BY place, {order}"
    rows = connection.execute(
        f"SELECT place, cell, {', '.join(values)} FROM ({chosen}) {best}"
    ).fetchall()
    samples: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for place, *row in rows:
        samples[int(place)].append(tuple(row))
    return samples


def _describe(
    column: Column, question: Question, samples: Sequence[tuple[Any, ...]]
) -> ColumnQuestion:
    return {
        "column": column.name,
        "code": question.code,
        "sentence": question.sentence,
        "cells": [row[0] for row in samples],
        "readings": [
            {"name": reading.name, "values": [row[place] for row in samples]}
            for place, reading in enumerate(question.readings, 1)
        ],
    }
