"""Finds numbers that stand for a missing answer, such as 99 in files of SPSS, and words that
programs write in its place, such as nan: a model would take them for values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import duckdb

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import quote_identifier, quote_literal
from projects.reading.edits import MAX_ROWS_IN_AN_EDIT
from projects.reading.results import Edit

HIGH_CODES = frozenset({9, 99, 999, 9999, 99999, 999999})
LOW_CODES = frozenset({-1, -9, -99, -999, -9999})
PROGRAM_WORDS = frozenset({
    "nan", "<na>", "nat", "n/a", "#n/a", "undefined", "(blank)", "(empty)", "(leer)", "[null]",
    "#value!", "#ref!", "#name?", "#null!", "#div/0!",
})  # fmt: skip
MIN_TIMES, MIN_OTHERS = 3, 3
MIN_GAP, MIN_GAP_SHARE = 3, 0.1  # To the nearest other value; as a share of the others' range.


@dataclass(frozen=True)
class _Candidate:
    name: str
    code: int

    @property
    def cell(self) -> str:
        return quote_identifier(self.name)


def find_missing_codes(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column whose highest or lowest value is such a code, far from others."""
    candidates = [
        _Candidate(column["name"], int(end))
        for column in columns
        if column["type"] in ("integer", "number")
        for end, codes in ((column.get("max"), HIGH_CODES), (column.get("min"), LOW_CODES))
        if end is not None and end in codes
    ]
    if not candidates:
        return []
    measures = ", ".join(
        f"count(*) FILTER ({candidate.cell} = {candidate.code}),"
        f" min({candidate.cell}) FILTER ({candidate.cell} <> {candidate.code}),"
        f" max({candidate.cell}) FILTER ({candidate.cell} <> {candidate.code}),"
        f" count(DISTINCT {candidate.cell})"
        for candidate in candidates
    )
    values = cast(tuple[Any, ...], connection.execute(f"SELECT {measures} FROM {table}").fetchone())
    groups = zip(candidates, values[::4], values[1::4], values[2::4], values[3::4], strict=True)
    return [
        _finding(connection, table, candidate, times)
        for candidate, times, low, high, distinct in groups
        if times >= MIN_TIMES and distinct > MIN_OTHERS and _is_far(candidate.code, low, high)
    ]


def find_missing_words(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[ColumnProfile]
) -> list[ProfileWarning]:
    """A finding for each column of text in which some cells hold such a word. People's words for
    none, such as NA and None, may be values as well as missing ones."""
    warnings: list[ProfileWarning] = []
    for column in columns:
        words = [
            entry["value"]
            for entry in column["top_values"]
            if column["type"] == "text" and entry["value"].strip().casefold() in PROGRAM_WORDS
        ]
        if words and column["unique"] > len(words):
            warnings.append(_words_finding(connection, table, column["name"], words))
    return warnings


def _words_finding(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, words: Sequence[str]
) -> ProfileWarning:
    cell = quote_identifier(name)
    rows = connection.execute(
        f"SELECT line FROM (SELECT row_number() OVER () - 1 AS line, {cell} AS value FROM {table})"
        f" WHERE value IN ({', '.join(map(quote_literal, words))})"
    ).fetchall()
    warning: ProfileWarning = {
        "code": "missing_words",
        "sentence": f"{len(rows):,} cells of {name} hold {words[0]!r}, which programs write where a"
        " value is missing.",
        "advice": "A model would learn it as a value. Empty those cells if it stands for nothing.",
    }
    if len(rows) <= MAX_ROWS_IN_AN_EDIT:
        lines = [row for (row,) in rows]
        edits: list[Edit] = [{"op": "set_cells", "column": name, "rows": lines, "value": None}]
        warning["fix"] = {
            "title": f"Empty the cells of {name} that hold {words[0]}",
            "edits": edits,
        }
    return warning


def _is_far(code: int, low: float, high: float) -> bool:
    if code < 0:  # All other values are counts or amounts, which are never negative.
        return low >= 0
    return code - high >= max(MIN_GAP, MIN_GAP_SHARE * (high - low))


def _finding(
    connection: duckdb.DuckDBPyConnection, table: str, candidate: _Candidate, times: int
) -> ProfileWarning:
    name, code = candidate.name, candidate.code
    warning: ProfileWarning = {
        "code": "missing_codes",
        "sentence": f"{times:,} cells of {name} hold {code}, apart from all other values: a code"
        " for a missing answer?",
        "advice": "A model would take it for a quantity, or for a class. Empty those cells if it"
        " stands for nothing.",
    }
    if times <= MAX_ROWS_IN_AN_EDIT:
        lines = connection.execute(
            f"SELECT line FROM (SELECT row_number() OVER () - 1 AS line, {candidate.cell} AS value"
            f" FROM {table}) WHERE value = {code}"
        ).fetchall()
        rows = [row for (row,) in lines]
        edits: list[Edit] = [{"op": "set_cells", "column": name, "rows": rows, "value": None}]
        warning["fix"] = {"title": f"Empty the cells of {name} that hold {code}", "edits": edits}
    return warning
