"""Reads regular delimited files with DuckDB, into the same text table as the reader of single
records makes.

The table is a view of the file itself: reading it again costs less than a copy would. Only files
that have one possible reading are read this way: one kind of line end, no control codes, and every
row as wide as the table under strict rules for quotes; blank lines between rows are counted. DuckDB
stops at the first place that is not regular; the file is then read record by record, which repairs
or rejects rows.
"""

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from projects.reading.columns.sql import quote_literal
from projects.reading.csv.dialect import CsvDialect
from projects.reading.encodings.detection import Encoding
from projects.reading.limits import MAX_CELL_CHARS
from projects.reading.results import Issues, RejectedRow

CHUNK_BYTES = 8 * 1024 * 1024
MIN_BYTES = 4 * 1024 * 1024  # Smaller files are read as quickly record by record.
BYTE_ORDER_MARK = codecs.BOM_UTF8
CONTROL_CODES = re.compile(rb"\xc2[\x80-\x9f]")
BLANK_LINES = (b"\n", b"\r\n")
VIEW = "text_in_bulk"
PARQUET_OPTIONS = "(FORMAT parquet, COMPRESSION lz4_raw)"
# What Python's str.isspace takes for blank: rows of nothing else are left to the record reader.
BLANK = (
    r"'[\s\x{0b}\x{1c}-\x{1f}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}"
    r"\x{202f}\x{205f}\x{3000}]*'"
)
PASSED_ON = frozenset("\t,;|")  # Separators that DuckDB reads as the record reader does.
MAX_LINE_BYTES = MAX_CELL_CHARS  # Longer lines are left to the reader of records.


class IrregularFile(Exception):
    """The file holds something that has to be read record by record."""


@dataclass(frozen=True)
class LineEnds:
    """Counts of a file: its line ends, and line feeds that are not line ends."""

    ends: int
    lone_feeds: int
    is_last_open: bool  # The last line has no end.


@dataclass
class RegularCsv:
    """A file that may be read in bulk. `path` holds UTF-8."""

    path: Path
    dialect: CsvDialect
    issues: Issues
    line_ends: LineEnds
    rejects: list[RejectedRow] = field(default_factory=list)  # None of a regular file.

    @property
    def names(self) -> list[str]:
        return [f"c{place}" for place in range(self.dialect.width)]

    def open(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Make a view of the text table c0, c1, … and return its name. Reading from it raises
        duckdb.Error or UnicodeDecodeError where the file is not regular."""
        word = quote_literal(self.dialect.missing_word)
        filled = ", ".join(f"coalesce({name}, '') AS {name}" for name in self.names)
        if self.dialect.missing_word:
            filled = ", ".join(
                f"coalesce(nullif({name}, {word}), '') AS {name}" for name in self.names
            )
        connection.execute(f"CREATE OR REPLACE VIEW {VIEW} AS SELECT {filled} FROM {self._source}")
        return VIEW

    def keep(self, connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        """Let the view read a Parquet copy, in which single columns are quick to read."""
        connection.execute(f"COPY {VIEW} TO {quote_literal(str(target))} {PARQUET_OPTIONS}")
        connection.execute(
            f"CREATE OR REPLACE VIEW {VIEW} AS FROM read_parquet({quote_literal(str(target))})"
        )

    @property
    def row_check(self) -> str:
        """SQL that is true for a regular row: one that is neither blank nor a repeated header."""
        blank = " AND ".join(f"regexp_full_match({name}, {BLANK})" for name in self.names)
        # CASE, as OR would match every cell of every row.
        regular = f"CASE WHEN ascii(c0) BETWEEN 33 AND 126 THEN true ELSE NOT ({blank}) END"
        if not self.dialect.header:
            return regular
        names = [name.removeprefix("\ufeff").strip(" ") for name in self.dialect.header[-1].cells]
        again = " AND ".join(
            f"trim({column}) = {quote_literal(name)}"
            for column, name in zip(self.names, names, strict=False)
        )
        return f"CASE WHEN {again} THEN false ELSE {regular} END"

    def check_rows(self, connection: duckdb.DuckDBPyConnection, rows: int) -> None:
        """Compare the rows read with the lines of the file, and say how many hold line breaks or
        are blank. Raises IrregularFile where blank lines may be a part of cells: DuckDB passes over
        all others."""
        skipped = self._skipped_lines
        lines = self.line_ends.ends - skipped + self.line_ends.is_last_open
        if not rows:
            raise IrregularFile
        if lines == rows and not self.line_ends.lone_feeds:
            return
        if blank := self._find_blank_lines():
            # A line break inside quotes makes a line more than it makes blank ones.
            if lines - len(blank) != rows or self.line_ends.lone_feeds:
                raise IrregularFile
            count = len(blank)
            self.issues.add(
                "blank_rows",
                f"{'1 empty row was' if count == 1 else f'{count:,} empty rows were'} left out.",
                blank[0],
            )
            return
        broken = " OR ".join(
            f"contains({name}, chr(10)) OR contains({name}, chr(13))" for name in self.names
        )
        row = connection.execute(f"SELECT count(*) FILTER ({broken}) FROM {VIEW}").fetchone()
        broken_rows = row[0] if row else 0
        if not broken_rows:
            raise IrregularFile
        self.issues.add(
            "line_breaks",
            "1 row holds line breaks inside quotes and spans several lines."
            if broken_rows == 1
            else f"{broken_rows:,} rows hold line breaks inside quotes and span several lines.",
        )

    def _find_blank_lines(self) -> list[int]:
        """The numbers of the lines below the header that hold nothing at all."""
        with open(self.path, "rb") as file:
            numbers = [number for number, line in enumerate(file, 1) if line in BLANK_LINES]
        return [number for number in numbers if number > self._skipped_lines]

    @property
    def _skipped_lines(self) -> int:
        return self.dialect.header[-1].line if self.dialect.header else 0

    @property
    def _source(self) -> str:
        delimiters = self.dialect.delimiters
        columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in self.names)
        quote = quote_literal(delimiters.quote)
        return (
            f"read_csv({quote_literal(str(self.path))}, auto_detect = false, header = false,"
            f" delim = {quote_literal(delimiters.delimiter)}, quote = {quote}, escape = {quote},"
            f" skip = {self._skipped_lines}, columns = {{{columns}}}, strict_mode = true,"
            f" null_padding = false, ignore_errors = false, max_line_size = {MAX_LINE_BYTES})"
        )


def open_bulk_reader(
    path: Path, encoding: Encoding, dialect: CsvDialect, issues: Issues, scratch: Path | None
) -> RegularCsv | None:
    """A reader for the whole file, or None when its bytes already show that it is not regular.
    A file in another encoding is read from a copy in `scratch`, if there is such a folder."""
    header = dialect.header
    is_even = not (dialect.fill_short_rows or dialect.trim_long_rows or dialect.preamble)
    if not is_even or not may_be_in_bulk(path, dialect):
        return None
    as_utf8 = utf8_path(path, encoding, bool(header), scratch)
    line_ends = count_line_ends(as_utf8) if as_utf8 else None
    return RegularCsv(as_utf8, dialect, issues, line_ends) if as_utf8 and line_ends else None


def may_be_in_bulk(path: Path, dialect: CsvDialect) -> bool:
    """Whether DuckDB can read such a dialect, and the file is long enough to be worth it."""
    return (
        dialect.delimiters.delimiter in PASSED_ON
        and dialect.delimiters.escape == "doubled"
        and not dialect.has_text_formulas
        and dialect.width > 1
        and all(record.lines == 1 and not record.problem for record in dialect.header)
        and path.stat().st_size >= MIN_BYTES
    )


def utf8_path(
    path: Path, encoding: Encoding, has_header: bool, scratch: Path | None
) -> Path | None:
    """The file, or a copy of it in UTF-8; None where there is no folder for one."""
    if not encoding.invalid_bytes and (
        encoding.name == "utf-8" or (encoding.name == "utf-8-sig" and has_header)
    ):
        return path
    if scratch is None:
        return None
    copy = scratch / "utf-8.csv"
    return copy if copy.exists() else _copy_as_utf8(path, encoding, copy)


def count_line_ends(path: Path) -> LineEnds | None:
    """The line ends of a file without NUL, without control codes and with one kind of line end
    all through; None for any other. Line feeds inside quotes may be another kind."""
    feeds = returns = pairs = 0
    last = b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            border = last[-1:] + chunk[:1]
            is_first = not last
            if b"\0" in chunk or BYTE_ORDER_MARK in chunk[len(BYTE_ORDER_MARK) * is_first :]:
                return None
            if BYTE_ORDER_MARK in last[-2:] + chunk[:2]:
                return None
            if (b"\xc2" in chunk or border[:1] == b"\xc2") and (
                CONTROL_CODES.search(chunk) or CONTROL_CODES.search(border)
            ):
                return None
            feeds += chunk.count(b"\n")
            if b"\r" in chunk or border[:1] == b"\r":
                returns += chunk.count(b"\r")
                pairs += chunk.count(b"\r\n") + (border == b"\r\n")
            last = chunk
    if returns != pairs:
        return None
    ends = pairs or feeds
    return LineEnds(ends, feeds - ends, not last.endswith(b"\n"))


def _copy_as_utf8(path: Path, encoding: Encoding, target: Path) -> Path:
    """Bytes that are not valid text become U+FFFD, as in the reader of records."""
    decoder = codecs.getincrementaldecoder(encoding.name)("replace")
    with open(path, "rb") as file, open(target, "wb") as copy:
        while chunk := file.read(CHUNK_BYTES):
            copy.write(decoder.decode(chunk).encode("utf-8", "replace"))
        copy.write(decoder.decode(b"", final=True).encode("utf-8", "replace"))
    return target
