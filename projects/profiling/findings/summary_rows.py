"""Finds rows that hold the sum or average of other rows, as reports have them below groups, which a
model would learn like other rows. They are found by words for sums, and by sums that match the rows
beside them."""

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
MIN_CONFIRMED_SHARE = 0.5  # Of rows with such words must be sums; of reviews ("total rubbish") few.
MAX_WORD_BYTES = 200
LAST_ROWS = 3  # Among these the word is enough, as averages and rates do not add up.
MIN_FILLED_SHARE = 0.7  # Of a column of words, whose empty cell then marks a total without a word.
RELATIVE_ERROR, ROUNDING = 1e-6, 0.005
# Words for sums and averages in reports, in several languages.
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
    """The numbers of a table, and for each row its word for a sum, or ""."""

    numbers: npt.NDArray[np.float64]  # (rows, columns), NaN where missing.
    words: list[str]
    blank: npt.NDArray[np.bool_]  # Rows without any text, where most rows have some.

    def is_sum_of(self, row: int, others: Sequence[int], *, in_all_columns: bool) -> bool:
        """Whether the row's numbers are the sums of these rows, in all columns or in any."""
        if len(others) < 2:
            return False
        values, parts = self.numbers[row], self.numbers[list(others)]
        counted = (~np.isnan(parts)).sum(axis=0)
        sums = np.nansum(parts, axis=0)
        comparable = ~np.isnan(values) & (values != 0) & (counted > 1)
        allowed = np.maximum(ROUNDING * counted, RELATIVE_ERROR * np.abs(sums)) + 1e-9
        allowed = np.where(np.all(np.nan_to_num(parts) % 1 == 0, axis=0), 1e-6, allowed)
        matches = np.abs(values - sums) <= allowed
        return bool(
            comparable.any()
            and (matches[comparable].all() if in_all_columns else matches[comparable].any())
        )


def find_summary_rows(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> list[ProfileWarning]:
    """One finding about all rows that sum up others, with a fix that drops them."""
    if rows > MAX_ROWS:
        return _finding(_last_by_word(connection, table, columns, rows))
    table_rows = _read(connection, table, columns, rows)
    sums = _by_sums(table_rows) if table_rows is not None else {}
    for row, word in _last_by_word(connection, table, columns, rows).items():
        sums.setdefault(row, word)
    return _finding(sums)


def _read(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> _Rows | None:
    """The words and numbers of the rows; None for a table that lacks columns of one of them."""
    numeric = [column["name"] for column in columns if column["type"] in ("integer", "number")]
    texts = [column["name"] for column in columns if column["type"] == "text"]
    mostly_filled = [
        column["name"]
        for column in columns
        if column["type"] in ("text", "date", "datetime")
        and column["missing"] <= (1 - MIN_FILLED_SHARE) * rows
    ]
    if not numeric or not (texts or mostly_filled):
        return None
    # One pattern for the list of all texts: making it ready takes milliseconds for each column.
    cells = ", ".join(f"trim({quote_identifier(name)})" for name in texts)
    is_word = (
        f"strlen(cell) <= {MAX_WORD_BYTES} AND regexp_full_match(cell, {quote_literal(NAMED)})"
    )
    word = f"list_filter([{cells}], lambda cell: {is_word})[1]" if texts else "NULL"
    blank = " AND ".join(f"{quote_identifier(name)} IS NULL" for name in mostly_filled) or "false"
    numbers = ", ".join(
        f"{quote_identifier(name)}::DOUBLE" for name in numeric[:MAX_NUMBER_COLUMNS]
    )
    fetched = connection.execute(
        f"SELECT coalesce({word}, '')::VARCHAR, {blank}, {numbers} FROM {table}"
    ).fetchall()
    values = np.array([row[2:] for row in fetched], dtype=np.float64)
    return _Rows(values, [row[0] for row in fetched], np.array([row[1] for row in fetched]))


def _by_sums(table_rows: _Rows) -> dict[int, str]:
    """The rows whose numbers are sums and that have a word for a sum, or no text; with their
    word."""
    by_word = [row for row, word in enumerate(table_rows.words) if word]
    candidates = sorted({*by_word, *np.flatnonzero(table_rows.blank).tolist()})
    if not candidates or len(candidates) > MAX_SHARE * len(table_rows.words):
        return {}
    sums = {
        row: table_rows.words[row]
        for row in candidates
        if any(
            table_rows.is_sum_of(row, others, in_all_columns=not table_rows.words[row])
            for others in _possible_parts(row, candidates, len(table_rows.words))
        )
    }
    blank = set(np.flatnonzero(table_rows.blank).tolist()) - set(by_word)
    confirmed_sums: dict[int, str] = {}
    for group in (set(by_word), blank):  # Confirmed by group, as small numbers add up by chance.
        confirmed = group & sums.keys()
        if confirmed and len(confirmed) >= MIN_CONFIRMED_SHARE * len(group):
            confirmed_sums |= {row: sums[row] for row in confirmed}
    return confirmed_sums


def _possible_parts(row: int, candidates: Sequence[int], rows: int) -> Iterator[Sequence[int]]:
    """The groups of rows that a row may be the sum of: the group above or below, all rows above,
    all sums above, or all rows below."""
    place = candidates.index(row)
    above = candidates[place - 1] + 1 if place else 0
    below = candidates[place + 1] if place + 1 < len(candidates) else rows
    sums = set(candidates)
    yield range(above, row)
    yield range(row + 1, below)
    yield [other for other in range(row) if other not in sums]
    yield candidates[:place]
    yield [other for other in range(row + 1, rows) if other not in sums]


def _last_by_word(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnProfile],
    rows: int,
) -> dict[int, str]:
    """Those of the last rows whose first text is a word for a sum, whatever their numbers. Empty
    where the word also occurs in other rows, as it may then be a name."""
    texts = [column["name"] for column in columns if column["type"] == "text"]
    if not texts:
        return {}
    cells = ", ".join(map(quote_identifier, texts))
    last = connection.execute(
        f"SELECT {cells} FROM {table} OFFSET {max(0, rows - LAST_ROWS)}"
    ).fetchall()
    labels = [next((cast(str, cell) for cell in row if cell), "") for row in last]
    words_by_row = {
        rows - len(last) + place: label
        for place, label in enumerate(labels)
        if WORD.fullmatch(label.strip())
    }
    if not words_by_row:
        return {}
    same = " OR ".join(f"{quote_identifier(name)} IN (SELECT unnest(?))" for name in texts)
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {same}", [list(words_by_row.values())] * len(texts)
    ).fetchone()
    return words_by_row if row is None or row[0] <= len(words_by_row) else {}


def _finding(words_by_row: dict[int, str]) -> list[ProfileWarning]:
    if not words_by_row:
        return []
    listed = sorted(words_by_row)
    count, first = len(listed), listed[0] + 1
    words = ", ".join(
        dict.fromkeys(repr(words_by_row[row]) for row in listed[:3] if words_by_row[row])
    )
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
