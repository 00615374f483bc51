"""Findings about what makes scores look better than they are: rows of the test that stand in the
training rows, too, and columns that give the target away."""

from collections.abc import Sequence
from typing import Any, cast

import duckdb

from projects.profiling.profile import (
    ColumnProfile,
    Fix,
    ProfileWarning,
    Suggestion,
    suggested_targets,
)
from projects.reading.columns.sql import quote_identifier
from projects.reading.fixes.operations import nearly_same_text, same_text, split_order

MAX_ROWS, MAX_COLUMNS = 1_000_000, 100
MIN_ROWS, MIN_ROWS_OF_A_VALUE = 50, 3
PURE_SHARE = 0.995  # Of the rows have the most frequent target of their value.
MAX_BASE_SHARE = 0.9  # Of the most frequent target: else nearly every column gives it away.
LINEAR = 0.9999  # The correlation of two numbers, of which one is the other in another unit.


def find_straddling_texts(
    connection: duckdb.DuckDBPyConnection, table: str, suggested: Suggestion, rows: int
) -> list[ProfileWarning]:
    """A finding where the table says which rows are for the test, and some of them stand in an
    earlier split, too."""
    split, texts = suggested.get("split_column"), suggested["text_columns"]
    if not split or rows > MAX_ROWS:
        return []
    names = texts or _all_but(connection, table, split)
    text = nearly_same_text(names) if texts else same_text(names)
    row = connection.execute(
        f"SELECT count(*), min(line) FROM (SELECT {text} AS same, {split_order(split)} AS part,"
        " max(part) OVER (PARTITION BY same) AS last, line FROM"
        f" (SELECT *, row_number() OVER () AS line FROM {table})) WHERE part < last AND same <> ''"
    ).fetchone()
    count, line = cast(tuple[int, int | None], row)
    if not count:
        return []
    what = "1 row stands" if count == 1 else f"{count:,} rows stand"
    return [
        {
            "code": "split_leak",
            "sentence": f"{what} in a later split of {split}, too, such as row {line:,}.",
            "advice": "A model that has seen a row knows the answer to it, so its test would show"
            " memory. A fine-tune that uses this split leaves them out of the earlier one.",
            "fix": {
                "title": "Drop them from the earlier split",
                "edits": [{"op": "drop_leaked", "column": split, "columns": names}],
            },
        }
    ]


def find_giveaways(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    suggested: Suggestion,
    rows: int,
) -> list[ProfileWarning]:
    """A finding for each column of a table of features that says the target in other words."""
    targets = suggested_targets(suggested)
    is_table = suggested["task"].startswith("tabular") and len(targets) == 1
    if not is_table or not MIN_ROWS <= rows <= MAX_ROWS:
        return []
    target = targets[0]
    others = [column for column in columns if column["name"] != target][:MAX_COLUMNS]
    if suggested["task"] == "tabular-regression":
        names = _linear_columns(connection, table, others, target)
    else:
        names = _pure_columns(connection, table, others, target, rows)
    return [
        {
            "code": "giveaway",
            "sentence": f"{name} says {target} in nearly every row.",
            "advice": "Is it known before the answer is? If it is written afterwards, or is the"
            " same thing in other words, a model learns nothing else and fails in use.",
            "fix": _drop(name),
        }
        for name in names
    ]


def _drop(name: str) -> Fix:
    return {"title": f"Drop {name}", "edits": [{"op": "drop_column", "column": name}]}


def _all_but(connection: duckdb.DuckDBPyConnection, table: str, split: str) -> list[str]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    return [name for name, *_ in described if name != split]


def _pure_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    target: str,
    rows: int,
) -> list[str]:
    """The columns each of whose values stands beside one label."""
    label = f"trim({quote_identifier(target)}::VARCHAR)"
    names = [
        column["name"]
        for column in columns
        if column["type"] in ("text", "integer", "boolean")
        and 2 <= column["unique"] <= rows / MIN_ROWS_OF_A_VALUE
    ]
    found = []
    for name in names:
        counted = (
            f"SELECT {quote_identifier(name)} AS value, {label} AS label, count(*) AS times"
            f" FROM {table} WHERE value IS NOT NULL AND label <> '' GROUP BY 1, 2"
        )
        row = connection.execute(
            f"WITH counted AS ({counted}) SELECT"
            " (SELECT sum(most) FROM (SELECT max(times) AS most FROM counted GROUP BY value)),"
            " (SELECT max(total) FROM (SELECT sum(times) AS total FROM counted GROUP BY label)),"
            " (SELECT sum(times) FROM counted)"
        ).fetchone()
        most, of_largest, times = cast(tuple[Any, ...], row)
        if not times or times < max(MIN_ROWS, rows / 2):
            continue
        if most >= PURE_SHARE * times and of_largest <= MAX_BASE_SHARE * times:
            found.append(name)
    return found


def _linear_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    target: str,
) -> list[str]:
    """The columns of numbers that are the target times a number, plus another one."""
    names = [
        column["name"]
        for column in columns
        if column["type"] in ("integer", "number") and column["unique"] > MIN_ROWS_OF_A_VALUE
    ]
    if not names:
        return []
    wanted = f"{quote_identifier(target)}::DOUBLE"
    measures = ", ".join(
        f"corr({quote_identifier(name)}::DOUBLE, {wanted})"
        f" FILTER (isfinite({quote_identifier(name)}::DOUBLE) AND isfinite({wanted}))"
        for name in names
    )
    try:
        row = connection.execute(f"SELECT {measures} FROM {table}").fetchone()
    except duckdb.OutOfRangeException:  # Of numbers whose squares no double holds.
        return []
    values = cast(tuple[float | None, ...], row)
    pairs = zip(names, values, strict=True)
    return [name for name, value in pairs if value is not None and abs(value) >= LINEAR]
