"""Rows that sum up others or give their average, as reports have them below and between groups: a
model would learn them as rows like the others. Found by their words, and by sums that match the
rows beside them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import duckdb
import numpy as np
import numpy.typing as npt

from projects.profiling.profile import ColumnProfile, ProfileWarning
from projects.reading.columns.sql import quote_identifier, quote_literal

MAX_ROWS, MAX_NUMBER_COLUMNS = 100_000, 20
MAX_SHARE = 1 / 3  # Of the rows: where more say "total", it is a value like others.
MIN_CONFIRMED_SHARE = 0.5  # Of the rows with such words; of reviews ("total rubbish") few are.
MAX_WORD_BYTES = 200
LAST_ROWS = 3  # Among these the word alone tells, as averages and rates do not add up.
MIN_FILLED_SHARE = 0.7  # Of a column of words, whose empty cell then marks a total without a word.
RELATIVE_ERROR, ROUNDING = 1e-6, 0.005
# What reports call sums, in the languages of most of them.
_WORD = (
    r"(?:grand |sub-? ?|sous-)?totals?(?: general| général)?|sum|summe|zwischensumme"
    r"|gesamt(?:summe|ergebnis)?|ergebnis|insgesamt|totaux|suma|razem|(?:sub)?totale|totaal"
    r"|toplam|celkem|összesen|итого|всего|[合总總小]\s?[计計]|합계|소계|المجموع|รวม|कुल|योग"
    r"|averages?|mean|mittelwert|durchschnitt|moyenne|promedio|médias?|среднее|平均值?|평균"
)
WORD = re.compile(rf"(?:{_WORD})\s?[:：]?", re.IGNORECASE)
# With the name of what is summed up: "North total", "Summe Nord", "北区小计".
NAMED = (
    rf"(?i)(?:.{{1,60}}[ :：-])?(?:{_WORD})(?:\s?[:：-])?(?: .{{1,60}})?|.{{1,30}}[合总總小][计計]"
)


@dataclass(frozen=True)
class _Rows:
    """The numbers of a table, and what each row says of itself: a word for a sum, or nothing."""

    numbers: npt.NDArray[np.float64]  # (rows, columns), NaN where missing.
    words: list[str]
    blank: npt.NDArray[np.bool_]  # Rows without a word where others have one.

    def sums_up(self, row: int, others: Sequence[int], *, all_of_them: bool) -> bool:
        """Whether the row's numbers are the sums of these rows: one of them, or all."""
        if len(others) < 2:
            return False
        values, parts = self.numbers[row], self.numbers[list(others)]
        counted = (~np.isnan(parts)).sum(axis=0)
        sums = np.nansum(parts, axis=0)
        told = ~np.isnan(values) & (values != 0) & (counted > 1)
        allowed = np.maximum(ROUNDING * counted, RELATIVE_ERROR * np.abs(sums)) + 1e-9
        allowed = np.where(np.all(np.nan_to_num(parts) % 1 == 0, axis=0), 1e-6, allowed)
        matches = np.abs(values - sums) <= allowed
        return bool(told.any() and (matches[told].all() if all_of_them else matches[told].any()))


def find_summary_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> list[ProfileWarning]:
    """One finding about all rows that sum up others, with leaving them out as its fix."""
    if rows > MAX_ROWS:
        return _finding(_last_by_word(connection, table, columns, rows))
    read = _read(connection, table, columns, rows)
    found = _by_sums(read) if read is not None else {}
    for row, word in _last_by_word(connection, table, columns, rows).items():
        found.setdefault(row, word)
    return _finding(found)


def _read(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> _Rows | None:
    """None for a table without both words and numbers."""
    numeric = [one["name"] for one in columns if one["type"] in ("integer", "number")]
    texts = [one["name"] for one in columns if one["type"] == "text"]
    named = [
        one["name"]
        for one in columns
        if one["type"] in ("text", "date", "datetime")
        and one["missing"] <= (1 - MIN_FILLED_SHARE) * rows
    ]
    if not numeric or not (texts or named):
        return None
    pattern = quote_literal(NAMED)
    cells = [f"trim({quote_identifier(name)})" for name in texts]
    words = ", ".join(
        f"CASE WHEN strlen({cell}) <= {MAX_WORD_BYTES} AND regexp_full_match({cell}, {pattern})"
        f" THEN {cell} END"
        for cell in cells
    )
    blank = " AND ".join(f"{quote_identifier(name)} IS NULL" for name in named) or "false"
    numbers = ", ".join(
        f"{quote_identifier(name)}::DOUBLE" for name in numeric[:MAX_NUMBER_COLUMNS]
    )
    found = connection.execute(
        f"SELECT coalesce({words or 'NULL'}, '')::VARCHAR, {blank}, {numbers} FROM {table}"
    ).fetchall()
    values = np.array([row[2:] for row in found], dtype=np.float64)
    return _Rows(values, [row[0] for row in found], np.array([row[1] for row in found]))


def _by_sums(read: _Rows) -> dict[int, str]:
    """The rows that say that they are sums, or say nothing, and whose numbers are sums."""
    by_word = [row for row, word in enumerate(read.words) if word]
    asked = sorted({*by_word, *np.flatnonzero(read.blank).tolist()})
    if not asked or len(asked) > MAX_SHARE * len(read.words):
        return {}
    found = {
        row: read.words[row]
        for row in asked
        if any(
            read.sums_up(row, others, all_of_them=not read.words[row])
            for others in _others(row, asked, len(read.words))
        )
    }
    blank = set(np.flatnonzero(read.blank).tolist()) - set(by_word)
    kept: dict[int, str] = {}
    for group in (set(by_word), blank):  # Each by itself: small numbers add up by chance.
        if (confirmed := group & found.keys()) and len(confirmed) >= MIN_CONFIRMED_SHARE * len(
            group
        ):
            kept |= {row: found[row] for row in confirmed}
    return kept


def _others(row: int, asked: Sequence[int], rows: int) -> Iterator[Sequence[int]]:
    """What a row may sum up: its group above or below, all rows so far, or the sums so far."""
    place = asked.index(row)
    above = asked[place - 1] + 1 if place else 0
    below = asked[place + 1] if place + 1 < len(asked) else rows
    sums = set(asked)
    yield range(above, row)
    yield range(row + 1, below)
    yield [other for other in range(row) if other not in sums]
    yield asked[:place]
    yield [other for other in range(row + 1, rows) if other not in sums]


def _last_by_word(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> dict[int, str]:
    """Those of the last rows whose first words are one for a sum, whatever their numbers. A word
    that stands in other rows as well, as the name of a firm, tells nothing."""
    texts = [column["name"] for column in columns if column["type"] == "text"]
    if not texts:
        return {}
    cells = ", ".join(map(quote_identifier, texts))
    last = connection.execute(
        f"SELECT {cells} FROM {table} OFFSET {max(0, rows - LAST_ROWS)}"
    ).fetchall()
    labels = [next((cast(str, cell) for cell in row if cell), "") for row in last]
    found = {
        rows - len(last) + place: label
        for place, label in enumerate(labels)
        if WORD.fullmatch(label.strip())
    }
    if not found:
        return {}
    same = " OR ".join(f"{quote_identifier(name)} IN (SELECT unnest(?))" for name in texts)
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {same}", [list(found.values())] * len(texts)
    ).fetchone()
    return found if row is None or row[0] <= len(found) else {}


def _finding(found: dict[int, str]) -> list[ProfileWarning]:
    if not found:
        return []
    listed = sorted(found)
    count, first = len(listed), listed[0] + 1
    words = ", ".join(dict.fromkeys(repr(found[row]) for row in listed[:3] if found[row]))
    if count == 1:
        sentence = f"Row {first:,} sums up other rows by its numbers."
        if words:
            sentence = f"Row {first:,} sums up other rows, as {words} says."
    else:
        sentence = f"{count:,} rows sum up other rows by their numbers, such as row {first:,}."
        if words:
            sentence = f"{count:,} rows sum up other rows, such as row {first:,}: {words}."
    return [
        {
            "code": "summary_rows",
            "sentence": sentence,
            "advice": "A total is no example like the others. Leave it out.",
            "fix": {
                "title": "Leave it out" if len(listed) == 1 else "Leave them out",
                "edits": [{"op": "drop_rows", "rows": listed}],
            },
        }
    ]
