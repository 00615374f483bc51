"""Finds columns of numbers that are text because of a few cells, such as `<5` or `100,5`: a model
would take each number in them for a word."""

from collections.abc import Sequence
from typing import Any, cast

import duckdb

from projects.profiling import column_names
from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import batched, quote_identifier

MIN_SHARE = 0.7  # Of the cells, which are plain numbers.
MIN_NUMBERS, MAX_OTHERS = 20, 20  # Different ones: fewer numbers are classes, more others codes.
MAX_CHARS = 40
COLUMNS_AT_ONCE = 50


def find_nearly_numbers(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each such column, except for columns whose name says that they hold codes."""
    names = [column["name"] for column in columns if _may_be_numbers(column)]
    warnings = []
    for group in batched(names, COLUMNS_AT_ONCE):
        measures = []
        for name in group:
            cell = f"trim({quote_identifier(name)})"
            number = f"try_cast({cell} AS DOUBLE)"
            measures.append(
                f"count({cell}), count({number}), count(DISTINCT {number}),"
                f" count(DISTINCT {cell}) FILTER ({number} IS NULL),"
                f" min({cell}) FILTER ({number} IS NULL)"
            )
        row = connection.execute(f"SELECT {', '.join(measures)} FROM {table}").fetchone()
        values = cast(tuple[Any, ...], row)
        for place, name in enumerate(group):
            filled, numbers, different, others, example = values[5 * place : 5 * place + 5]
            is_mostly = MIN_SHARE * filled <= numbers < filled and different >= MIN_NUMBERS
            if is_mostly and others <= MAX_OTHERS:
                warnings.append(_finding(name, filled - numbers, filled, example))
    return warnings


def _may_be_numbers(column: ColumnProfile) -> bool:
    longest = column.get("lengths", {"max": None})["max"]
    return (
        column["type"] == "text"
        and column["unique"] > MIN_NUMBERS
        and longest is not None
        and longest <= MAX_CHARS
        and not column_names.is_identifier_name(column["name"])
        and not column_names.describes_where_or_who(column["name"])
    )


def _finding(name: str, count: int, filled: int, example: str) -> ProfileWarning:
    return {
        "code": "nearly_numbers",
        "column": name,
        "sentence": f"{name} is read as text because of cells such as {example!r} ({count:,} of"
        f" {filled:,}): the others are numbers.",
        "advice": "A model takes numbers in a column of text for words. Correct these cells, or"
        " read them as missing, and upload the table again.",
    }
