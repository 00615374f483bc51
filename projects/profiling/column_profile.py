"""Profiles columns, many in one query, as planning a query costs more than counting some thousand
cells.

Each query unpivots a group of columns into rows of (place, line, value) and groups by place. A
group has so many columns that its cells stay below MAX_CELLS_AT_ONCE: in a long table, one column.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, cast

import duckdb

from projects.profiling.profile import ColumnProfile, ValueCount
from projects.reading.columns.column import ColumnInfo
from projects.reading.columns.sql import quote_identifier, quote_literal

HISTOGRAM_STEPS = 12
TOP_VALUES, MAX_TIED_VALUES = 10, 1_000
EXAMPLES = 3
MAX_DISPLAY_CHARS = 200
MAX_EXACT_COUNT_ROWS = 6_000_000  # Above it distinct values are estimated, about 2% off.
MAX_ALWAYS_COUNTED_ROWS = 1_000_000  # Of a longer column frequent values are not always looked for.
MAX_CELLS_AT_ONCE = 200_000
MAX_COLUMNS_AT_ONCE = 250
MAX_COUNTED_SHARE = 0.5  # Of the cells may be different values before they are not counted.
MIN_PATTERN_SHARE = 0.9
# Scripts without blanks, and how many of their characters count as one word.
UNSPACED_SCRIPTS = {
    2: r"\p{Han}\p{Hiragana}\p{Katakana}",
    5: r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}",
}
VALUE_PATTERNS = {
    "url": r"(https?://|www\.)\S+",
    "e-mail": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "date": r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}( \d{1,2}:\d{2}.*)?",
}
COUNTED_WORDS = "length(trim(value)) - length(replace(trim(value), ' ', '')) + 1" + "".join(
    f" + length(regexp_replace(value, '[^{letters}]', '', 'g')) / {size}"
    for size, letters in UNSPACED_SCRIPTS.items()
)
LENGTHS = (
    "min(length(value)), avg(length(value)), quantile_cont(length(value), 0.95), max(length(value))"
)
NUMBERS, TEXTS = ("integer", "number"), ("text", "json")


def profile_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[ColumnInfo],
    rows: int,
    sample: str = "",
) -> list[ColumnProfile]:
    """The profiles of these columns, in their order; none may be of images. `sample`: a table with
    some of the rows, from which words and patterns of texts are counted; by default all rows."""
    profiles: list[ColumnProfile] = []
    size = max(1, min(MAX_COLUMNS_AT_ONCE, MAX_CELLS_AT_ONCE // max(1, rows)))
    for start in range(0, len(columns), size):
        group = _Group(connection, table, columns[start : start + size], rows, sample or table)
        profiles += group.profiles()
    return profiles


class _Group:
    """Columns that are profiled together. In queries, a column is named by its place: "7"."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: str,
        columns: Sequence[ColumnInfo],
        rows: int,
        sample: str,
    ) -> None:
        self.connection, self.table, self.columns, self.rows = connection, table, columns, rows
        self.sample = sample
        self.lengths: dict[int, tuple[Any, ...]] = {}  # LENGTHS of texts by place, once counted.

    def profiles(self) -> list[ColumnProfile]:
        if len(self.columns) == 1:
            counted = self._counts_of_one()
            top = self._top_values_of_one(*counted[:2])
            profiles = [self._profile(self.columns[0], counted, top)]
        else:
            profiles = [*map(self._profile, self.columns, self._counts(), self._top_values())]
        self._add_number_stats(profiles)
        self._add_text_stats(profiles)
        return profiles

    def _unpivoted(self, cast_to: str, types: tuple[str, ...] = (), table: str = "") -> str:
        """SQL of the cells that are not missing, as rows of (place, line, value)."""
        table = table or self.table
        if len(self.columns) == 1:
            name = quote_identifier(self.columns[0]["name"])
            return (
                f"(SELECT 0 AS place, row_number() OVER () AS line, {name}::{cast_to} AS value"
                f" FROM {table} WHERE {name} IS NOT NULL)"
            )
        chosen = [
            f"{quote_identifier(column['name'])}::{cast_to} AS {quote_identifier(str(place))}"
            for place, column in enumerate(self.columns)
            if not types or column["type"] in types
        ]
        source = f"SELECT row_number() OVER () AS line, {', '.join(chosen)} FROM {table}"
        return f"(UNPIVOT ({source}) ON COLUMNS(* EXCLUDE (line)) INTO NAME place VALUE value)"

    def _has(self, types: tuple[str, ...]) -> bool:
        return any(column["type"] in types for column in self.columns)

    def _by_place(
        self, query: str, bound: Sequence[float | None] = ()
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        for place, *values in self.connection.execute(query, bound).fetchall():
            yield int(place), tuple(values)

    def _counts(self) -> list[tuple[int, int, list[str]]]:
        """(filled cells, distinct values, the first few values) of each column."""
        counts = dict(
            self._by_place(
                "SELECT place, count(*), count(DISTINCT value),"
                f" arg_min(value, line, {EXAMPLES})"
                f" FROM {self._unpivoted('VARCHAR')} GROUP BY place"
            )
        )
        nothing: tuple[int, int, list[str]] = (0, 0, [])
        return [cast(Any, counts.get(place, nothing)) for place in range(len(self.columns))]

    def _counts_of_one(self) -> tuple[int, int, list[str]]:
        """`_counts` of a single column; its texts are compared by hashes of 64 bits."""
        cells = self._cells_of_one()
        exact = self.rows <= MAX_EXACT_COUNT_ROWS
        key = "hash(value)" if self._has(TEXTS) else "value"
        distinct = f"count(DISTINCT {key})" if exact else "approx_count_distinct(value)"
        # Lengths are taken in the same query, so that long texts are read once.
        lengths = f", {LENGTHS}" if self._has(TEXTS) else ""
        row = self.connection.execute(
            f"SELECT count(*), {distinct}{lengths} FROM {cells}"
        ).fetchone()
        first = self.connection.execute(
            f"SELECT value::VARCHAR FROM {cells} LIMIT {EXAMPLES}"
        ).fetchall()
        filled, unique, *text_lengths = cast(tuple[int, ...], row)
        self.lengths = {0: tuple(text_lengths)} if text_lengths else {}
        return filled, unique, [value for (value,) in first]

    def _top_values_of_one(self, filled: int, distinct: int) -> list[ValueCount]:
        """`_top_values` of a single column; empty for a long column most of whose values differ,
        where counting them all would show little."""
        share = MAX_COUNTED_SHARE if self.rows > MAX_ALWAYS_COUNTED_ROWS else 1
        if distinct >= share * filled:
            return []
        cells = self._cells_of_one()
        chosen = ""
        if self._has(TEXTS):  # By their hashes first: a table of long texts takes memory.
            hashes = self.connection.execute(
                f"SELECT hash(value), count(*) AS times FROM {cells} GROUP BY 1 HAVING count(*) > 1"
                f" QUALIFY rank() OVER (ORDER BY times DESC) <= {TOP_VALUES}"
                f" LIMIT {MAX_TIED_VALUES}"
            ).fetchall()
            listed = ", ".join(str(number) for number, _ in hashes) or "NULL"
            chosen = f"WHERE hash(value) IN ({listed})"
        value_counts = self.connection.execute(
            f"SELECT value::VARCHAR AS shown, count(*) AS times FROM {cells} {chosen}"
            f" GROUP BY value HAVING count(*) > 1 ORDER BY times DESC, shown LIMIT {TOP_VALUES}"
        ).fetchall()
        return [{"value": truncate(value), "count": times} for value, times in value_counts]

    def _cells_of_one(self) -> str:
        """SQL of the filled cells of a single column. Numbers and dates are not cast, as casting
        them to text costs more than counting them."""
        name = quote_identifier(self.columns[0]["name"])
        value = f"{name}::VARCHAR" if self._has(TEXTS) else name
        return f"(SELECT {value} AS value FROM {self.table} WHERE {name} IS NOT NULL)"

    def _top_values(self) -> list[list[ValueCount]]:
        """The values that occur more than once, the most frequent first."""
        top: dict[int, list[ValueCount]] = defaultdict(list)
        query = (
            f"SELECT place, value, count(*) AS times FROM {self._unpivoted('VARCHAR')}"
            " GROUP BY place, value HAVING count(*) > 1 QUALIFY row_number() OVER"
            f" (PARTITION BY place ORDER BY times DESC, value) <= {TOP_VALUES}"
            " ORDER BY place, times DESC, value"
        )
        for place, (value, times) in self._by_place(query):
            top[place].append({"value": truncate(value), "count": times})
        return [top[place] for place in range(len(self.columns))]

    def _profile(
        self, column: ColumnInfo, counts: tuple[int, int, list[str]], top: list[ValueCount]
    ) -> ColumnProfile:
        filled, unique, examples = counts
        profile: ColumnProfile = {
            "name": column["name"],
            "type": column["type"],
            "missing": self.rows - filled,
            "unique": unique,
            "examples": [*map(truncate, examples)],
            "top_values": top,
        }
        if self.rows > MAX_EXACT_COUNT_ROWS:
            profile["unique_is_estimate"] = True
        return profile

    def _add_number_stats(self, profiles: list[ColumnProfile]) -> None:
        for profile in profiles:
            if profile["type"] in NUMBERS:
                profile |= {"min": None, "max": None, "mean": None, "median": None}
        if not self._has(NUMBERS):
            return
        query = (
            "SELECT place, min(value), max(value), avg(value), median(value)"
            f" FROM {self._unpivoted('DOUBLE', NUMBERS)} WHERE isfinite(value) GROUP BY place"
        )
        for place, stats in self._by_place(query):
            profile = profiles[place]
            profile["min"], profile["max"], profile["mean"], profile["median"] = map(
                finite_or_none, stats
            )
        self._add_histograms(profiles)

    def _add_histograms(self, profiles: list[ColumnProfile]) -> None:
        """Count the numbers of each column in equal steps, for the histogram above the column."""
        ends = [
            (place, profile["min"], profile["max"])
            for place, profile in enumerate(profiles)
            if profile.get("min") is not None and profile.get("max") is not None
        ]
        if not ends:
            return
        rows = ", ".join(["(?::INTEGER, ?::DOUBLE, ?::DOUBLE)"] * len(ends))
        bound = [value for end in ends for value in end]
        # Halves, as the whole width of two doubles may be no double; the ends are rounded.
        part = "coalesce((value / 2 - low / 2) / nullif(high / 2 - low / 2, 0), 0)"
        step = f"floor({HISTOGRAM_STEPS} * greatest(0, least(1, {part})))::INTEGER"
        query = (
            f"SELECT cells.place, least({HISTOGRAM_STEPS - 1}, {step}) AS step, count(*)"
            f" FROM {self._unpivoted('DOUBLE', NUMBERS)} cells"
            f" JOIN (VALUES {rows}) ends (place, low, high)"
            " ON ends.place = cells.place::INTEGER"
            " WHERE isfinite(value) GROUP BY cells.place, step"
        )
        for place, (step, count) in self._by_place(query, bound):
            steps = profiles[place].setdefault("histogram", [0] * HISTOGRAM_STEPS)
            steps[step] += count

    def _add_text_stats(self, profiles: list[ColumnProfile]) -> None:
        if not self._has(TEXTS):
            return
        cells = self._unpivoted("VARCHAR", TEXTS)
        lengths = self.lengths or dict(
            self._by_place(f"SELECT place, {LENGTHS} FROM {cells} GROUP BY place")
        )
        shapes = ", ".join(
            f"count(*) FILTER (regexp_full_match(trim(value), {quote_literal(shape)}))"
            for shape in VALUE_PATTERNS.values()
        )
        patterns = dict(
            self._by_place(
                f"SELECT place, avg({COUNTED_WORDS}), count(*), {shapes}"
                f" FROM {self._unpivoted('VARCHAR', TEXTS, self.sample)} GROUP BY place"
            )
        )
        for place, profile in enumerate(profiles):
            if profile["type"] in TEXTS:
                no_patterns = (None, 0, *[0] * len(VALUE_PATTERNS))
                no_lengths = (None, None, None, None)
                _describe_texts(
                    profile, lengths.get(place, no_lengths), patterns.get(place, no_patterns)
                )


def _describe_texts(
    profile: ColumnProfile, lengths: tuple[Any, ...], patterns: tuple[Any, ...]
) -> None:
    """Add the statistics of texts. `lengths`: LENGTHS; `patterns`: mean words, cells, and for each
    of VALUE_PATTERNS how many cells match."""
    shortest, mean, p95, longest = lengths
    words, cells, *matching = patterns
    profile["lengths"] = {
        "min": cast(int | None, shortest),
        "mean": finite_or_none(mean),
        "p95": finite_or_none(p95),
        "max": cast(int | None, longest),
    }
    profile["mean_length"] = finite_or_none(mean)
    profile["mean_words"] = finite_or_none(words)
    enough = max(1.0, MIN_PATTERN_SHARE * cells)
    counts = zip(VALUE_PATTERNS, cast(list[int], matching), strict=True)
    profile["looks_like"] = next((shape for shape, count in counts if count >= enough), "")


def finite_or_none(value: object) -> float | None:
    """A finite number, rounded to six digits; None for a value that JSON cannot hold."""
    number = None if value is None else float(cast(float, value))
    if number is None or not math.isfinite(number):
        return None
    # Small numbers keep six significant digits, so that 0.0000001 does not become zero.
    return round(number, 6) if abs(number) >= 1 else float(f"{number:.6g}")


def truncate(value: object) -> str:
    """The value as text, short enough to show."""
    text = str(value)
    return text if len(text) <= MAX_DISPLAY_CHARS else f"{text[:MAX_DISPLAY_CHARS]}…"
