"""Reads regular delimited files at the speed of DuckDB, into the same text table that the reader of
single records makes.

Only files that leave no choice take this way: valid UTF-8, one kind of line end, no blank lines, no
control codes, and every row as wide as the table under strict rules for quotes. DuckDB stops at the
first place that is otherwise; the file is then read record by record, which mends or rejects rows.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb

from projects.reading.columns.sql import quote_literal
from projects.reading.csv.dialect import CsvDialect
from projects.reading.encodings import Encoding
from projects.reading.limits import MAX_CELL_CHARS
from projects.reading.results import Issues

CHUNK_BYTES = 8 * 1024 * 1024
MIN_BYTES = 4 * 1024 * 1024  # Smaller files are read as quickly record by record.
CONTROL_CODES = re.compile(rb"\xc2[\x80-\x9f]")
PARQUET_OPTIONS = "(FORMAT parquet, COMPRESSION lz4_raw)"
# What Python's str.isspace takes for blank: rows of nothing else are left to the record reader.
BLANK = (
    r"'[\s\x{0b}\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}"
    r"\x{202f}\x{205f}\x{3000}]*'"
)
PASSED_ON = frozenset("\t,;|")  # Separators that DuckDB reads as the record reader does.
MAX_LINE_BYTES = 2_000_000


@dataclass(frozen=True)
class BulkReader:
    """A file that may be read in bulk. `path` holds UTF-8."""

    path: Path
    dialect: CsvDialect
    issues: Issues

    def write(self, connection: duckdb.DuckDBPyConnection, target: Path) -> int | None:
        """Write the text table c0, c1, … and return its rows; None when the file is not regular."""
        names = [f"c{place}" for place in range(self.dialect.width)]
        word = quote_literal(self.dialect.missing_word)
        filled = ", ".join(f"coalesce(nullif({name}, {word}), '') AS {name}" for name in names)
        try:
            connection.execute(
                f"COPY (SELECT {filled} FROM {self._source(names)})"
                f" TO {quote_literal(str(target))} {PARQUET_OPTIONS}"
            )
        except (duckdb.Error, UnicodeDecodeError):
            target.unlink(missing_ok=True)
            return None
        return self._check(connection, names, target)

    def _source(self, names: list[str]) -> str:
        delimiters, header = self.dialect.delimiters, self.dialect.header
        skipped = header[-1].line if header else 0
        columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in names)
        quote = quote_literal(delimiters.quote)
        return (
            f"read_csv({quote_literal(str(self.path))}, auto_detect = false, header = false,"
            f" delim = {quote_literal(delimiters.delimiter)}, quote = {quote}, escape = {quote},"
            f" skip = {skipped}, columns = {{{columns}}}, strict_mode = true, null_padding = false,"
            f" ignore_errors = false, max_line_size = {MAX_LINE_BYTES})"
        )

    def _check(
        self, connection: duckdb.DuckDBPyConnection, names: list[str], target: Path
    ) -> int | None:
        """The rows, after the checks that need all of them. Says how many hold line breaks."""
        lengths = " + ".join(f"strlen({name})" for name in names)  # Bytes: quick, never fewer.
        broken = " OR ".join(
            f"contains({name}, chr(10)) OR contains({name}, chr(13))" for name in names
        )
        blank = " AND ".join(f"regexp_full_match({name}, {BLANK})" for name in names)
        row = connection.execute(
            f"SELECT count(*), max({lengths}), count(*) FILTER ({broken}),"
            f" count(*) FILTER ({blank}) FROM read_parquet({quote_literal(str(target))})"
        ).fetchone()
        rows, longest, broken_rows, blank_rows = row if row else (0, 0, 0, 0)
        if blank_rows or not rows or longest > MAX_CELL_CHARS:
            target.unlink(missing_ok=True)
            return None
        if broken_rows:
            self.issues.add(
                "line_breaks",
                f"{broken_rows:,} rows hold line breaks inside quotes and span several lines.",
            )
        return int(rows)


def open_bulk_reader(
    path: Path, encoding: Encoding, dialect: CsvDialect, issues: Issues
) -> BulkReader | None:
    """A reader for the whole file, or None when its bytes already show that it is not regular."""
    delimiters, header = dialect.delimiters, dialect.header
    is_plain = (
        encoding.name == "utf-8"
        and not encoding.invalid_bytes
        and delimiters.delimiter in PASSED_ON
        and delimiters.escape == "doubled"
        and not (dialect.fill_short_rows or dialect.trim_long_rows)
        and dialect.width > 1
        and not dialect.preamble
        and all(record.lines == 1 and not record.problem for record in header)
    )
    if not is_plain or path.stat().st_size < MIN_BYTES or not _has_regular_lines(path):
        return None
    return BulkReader(path, dialect, issues)


def _has_regular_lines(path: Path) -> bool:
    """No NUL, no control code, no blank line, and one kind of line end all through."""
    feeds = returns = pairs = 0
    with open(path, "rb") as file:
        last = b""
        while chunk := file.read(CHUNK_BYTES):
            seen = last + chunk
            if b"\0" in chunk or b"\n\n" in seen or b"\n\r\n" in seen:
                return False
            if b"\xc2" in seen and CONTROL_CODES.search(seen):
                return False
            feeds += chunk.count(b"\n")
            returns += chunk.count(b"\r")
            pairs += seen.count(b"\r\n") - last.count(b"\r\n")
            last = chunk[-2:]
    return returns == pairs and pairs in (0, feeds)
