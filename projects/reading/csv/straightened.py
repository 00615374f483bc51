"""Reads delimited files with uneven rows at nearly the speed of regular ones.

A copy is made in which every row is regular. Separators are counted over whole chunks: lines with
the right count, nearly all, are copied as they are. The others are read one by one by the code that
also reads single records, and filled, cut, left out or rejected as there. Where that code has to
look at several lines at once, no copy is made and the file is read record by record.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from projects.reading.csv.dialect import CsvDialect
from projects.reading.csv.records import Record
from projects.reading.csv.rows import RowCounts, judge_record
from projects.reading.csv.vectorized import (
    CHUNK_BYTES,
    IrregularFile,
    RegularCsv,
    count_line_ends,
    may_be_in_bulk,
    utf8_path,
)
from projects.reading.encodings.detection import Encoding
from projects.reading.limits import MAX_CELL_CHARS
from projects.reading.results import Issues, RejectedRow

MAX_REJECTS = 100_000  # More are a matter for the reader of records, which writes them as it goes.
MAX_ODD_SHARE = 0.5  # Of the lines: more are read as quickly one by one.
NEW_LINE, FIRST_PRINTED = 10, 33
JUDGED_BEGINNINGS = b"-:=\x7f\xc2\xe1\xe2"  # Of lines that may be a ruler, or blank to Unicode.
WIDE_BLANK = "\u3000".encode()
Marks = npt.NDArray[np.intp]


@dataclass
class StraightenedCsv(RegularCsv):
    """A copy of regular rows, and what was counted while it was written."""

    counts: RowCounts = field(default_factory=RowCounts)
    kept: int = 0

    def check_rows(self, connection: duckdb.DuckDBPyConnection, rows: int) -> None:
        """Raise IrregularFile unless DuckDB read as many rows as were written; report issues."""
        if rows != self.kept:
            raise IrregularFile
        for row in self.rejects:
            self.issues.add("rejected_row", row.reason, row.line, row.column)
        self.counts.report(self.issues)

    @property
    def _skipped_lines(self) -> int:
        return 0  # Names and what stands above them are not in the copy.


def open_straightened(
    path: Path, encoding: Encoding, dialect: CsvDialect, issues: Issues, scratch: Path
) -> StraightenedCsv | None:
    """A reader for the copy, which is written in `scratch`; None where no copy can be made."""
    if not may_be_in_bulk(path, dialect):
        return None
    as_utf8 = utf8_path(path, encoding, bool(dialect.header), scratch)
    line_ends = count_line_ends(as_utf8) if as_utf8 else None
    if as_utf8 is None or line_ends is None or line_ends.lone_feeds:
        return None
    target = scratch / "straight.csv"
    straightened = StraightenedCsv(target, dialect, issues, line_ends)
    try:
        with open(as_utf8, "rb") as source, open(target, "wb") as sink:
            _Straightener(straightened, sink).run(source)
    except (IrregularFile, UnicodeDecodeError):
        target.unlink(missing_ok=True)
        return None
    return straightened


class _Straightener:
    """Goes through a file chunk by chunk, counting lines."""

    def __init__(self, copy: StraightenedCsv, sink: io.BufferedWriter) -> None:
        dialect = copy.dialect
        self._copy, self._sink, self._dialect = copy, sink, dialect
        self._delimiter = dialect.delimiters.delimiter
        self._quote = dialect.delimiters.quote
        self._above = (dialect.header or dialect.preamble or [Record(0, [])])[-1].line
        self._line = 0  # Lines before the chunk.
        self._end = b"\n"
        self._seen = self._odd = 0

    def run(self, source: io.BufferedReader) -> None:
        rest = b""
        while chunk := source.read(CHUNK_BYTES):
            chunk = rest + chunk
            self._end = b"\r\n" if b"\r\n" in chunk[:MAX_CELL_CHARS] else self._end
            end = chunk.rfind(b"\n") + 1
            rest = self._go_through(chunk[:end]) + chunk[end:]
            if len(rest) > 4 * MAX_CELL_CHARS:
                raise IrregularFile
        if rest:
            left = self._go_through(rest if rest.endswith(b"\n") else rest + self._end)
            if left:
                raise IrregularFile

    def _go_through(self, chunk: bytes) -> bytes:
        """Write the rows of these whole lines; returns the lines of an unfinished last record."""
        if not chunk:
            return b""
        codes = np.frombuffer(chunk, dtype=np.uint8)
        ends = np.flatnonzero(codes == NEW_LINE)
        starts = np.concatenate([[0], ends[:-1] + 1])
        if (ends - starts).max() > MAX_CELL_CHARS:
            raise IrregularFile
        marks = _count_in_lines(codes, ord(self._delimiter), ends)
        quotes = (
            _count_in_lines(codes, ord(self._quote), ends)
            if self._quote and self._quote.encode() in chunk
            else np.zeros_like(marks)
        )
        first = codes[starts]
        is_odd = (marks != self._dialect.width - 1) | (quotes > 0) | (first < FIRST_PRINTED)
        for code in (*JUDGED_BEGINNINGS, ord(self._delimiter)):
            is_odd |= first == code
        # U+3000 begins like Japanese punctuation.
        is_odd |= (first == WIDE_BLANK[0]) & (codes[np.minimum(starts + 1, ends)] == WIDE_BLANK[1])
        is_odd[: max(0, self._above - self._line)] = True
        odd = np.flatnonzero(is_odd)
        self._seen, self._odd = self._seen + len(ends), self._odd + len(odd)
        if self._odd > MAX_ODD_SHARE * self._seen:
            raise IrregularFile
        return self._write(chunk, starts, ends, odd, quotes)

    def _write(self, chunk: bytes, starts: Marks, ends: Marks, odd: Marks, quotes: Marks) -> bytes:
        """Write regular lines in runs, as they are, and judge the others one by one."""
        written, place = 0, 0  # Bytes and lines that are written or left out.
        numbers = iter(odd.tolist())
        for number in numbers:
            if number < place:
                continue  # Within a record of several lines.
            self._keep(chunk[written : starts[number]], number - place)
            last = number
            while quotes[number : last + 1].sum() % 2:
                last += 1
                if last == len(ends):
                    self._line += number
                    return chunk[starts[number] :]
            text = chunk[starts[number] : ends[last] + 1]
            self._judge(text, self._line + number + 1, last - number + 1)
            written, place = int(ends[last]) + 1, last + 1
        self._keep(chunk[written:], len(ends) - place)
        self._line += len(ends)
        return b""

    def _keep(self, lines: bytes, count: int) -> None:
        self._sink.write(lines)
        self._copy.kept += count

    def _judge(self, content: bytes, line: int, lines: int) -> None:
        if line <= self._above:
            if lines > 1:
                raise IrregularFile
            return
        cells = self._split(content.decode())
        if lines > 1 and (len(cells) != self._dialect.width or self._delimiter in "\t|"):
            raise IrregularFile  # A quote that was never closed looks the same.
        row = judge_record(Record(line, cells, lines=lines), self._dialect, self._copy.counts)
        if isinstance(row, RejectedRow):
            self._copy.rejects.append(row)
            if len(self._copy.rejects) > MAX_REJECTS:
                raise IrregularFile
        elif row is not None and len(cells) == self._dialect.width:
            self._keep(content, 1)
        elif row is not None:
            self._keep(self._joined(row), 1)

    def _split(self, text: str) -> list[str]:
        if not self._quote or self._quote not in text:
            bare = text.rstrip("\r\n")
            return bare.split(self._delimiter) if bare else []
        try:
            reader: Iterator[list[str]] = csv.reader(
                io.StringIO(text, newline=""),
                delimiter=self._delimiter, quotechar=self._quote, strict=True,
            )  # fmt: skip
            records = list(reader)
        except csv.Error:
            raise IrregularFile from None
        if len(records) != 1 or not records[0]:
            raise IrregularFile
        return records[0]

    def _joined(self, row: list[str | None]) -> bytes:
        end = self._end.decode()
        if not self._quote:
            return (self._delimiter.join(cell or "" for cell in row) + end).encode()
        sink = io.StringIO(newline="")
        csv.writer(
            sink, delimiter=self._delimiter, quotechar=self._quote, lineterminator=end
        ).writerow(row)
        return sink.getvalue().encode()


def _count_in_lines(codes: npt.NDArray[np.uint8], code: int, ends: Marks) -> Marks:
    """How often a character stands in each line."""
    before = np.searchsorted(np.flatnonzero(codes == code), ends)
    return np.diff(before, prepend=0)
