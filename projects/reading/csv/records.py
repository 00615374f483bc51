"""Splits lines of text into records. A stray quote spoils one record, not the rest of the file."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from projects.reading.limits import MAX_CELL_CHARS

csv.field_size_limit(MAX_CELL_CHARS)
# Each rescue reads up to a cell's worth again; a file made of stray quotes must still end.
MAX_LONG_REPAIRS = 50
LONG_REPAIR_LINES = 20
HELD_SEPARATOR = "\ue0a7"  # Stands in for a separator behind a backslash, which separates nothing.


@dataclass(frozen=True)
class Delimiters:
    """The characters that give a delimited file its shape."""

    delimiter: str = ","
    quote: str = '"'  # Empty: quotes mean nothing.
    escape: str = "doubled"  # Or "backslash".


@dataclass(frozen=True)
class Record:
    """One record; `problem` is set when it could not be read as written."""

    line: int  # Of its first physical line, from 1.
    cells: list[str]
    problem: str = ""
    repaired: bool = False  # Quotes inside a quoted cell were not doubled; kept as written.
    lines: int = 1  # More than one when a quoted cell holds line breaks.


def split_records(
    lines: Iterator[str], delimiters: Delimiters, *, width: int = 0, first_line: int = 1
) -> Iterator[Record]:
    """Every record of the lines. With a known `width`, rows that an unclosed quote took into one
    cell are told from a long cell."""
    feed = _RewindableLines(lines, delimiters, first_line)
    reader = _csv_reader(feed, delimiters)
    while True:
        feed.begin_record()
        if (text := feed.next_plain()) is not None:
            yield Record(feed.line, text.split(delimiters.delimiter) if text else [])
            continue
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = []
        if _is_broken(feed, cells, delimiters, width):
            line, text = feed.rewind()
            reader = _csv_reader(feed, delimiters)
            yield _repair_line(line, text, delimiters, width) or Record(
                line, _split_unquoted(text, delimiters), feed.error_message
            )
        else:
            if delimiters.escape == "backslash":
                cells = [cell.replace(HELD_SEPARATOR, delimiters.delimiter) for cell in cells]
            yield Record(feed.line, cells, lines=len(feed.record_lines))


def _repair_line(line: int, text: str, delimiters: Delimiters, width: int) -> Record | None:
    """The line as one row, where its stray quotes allow only one reading; else None."""
    if delimiters.quote and delimiters.quote not in text:
        return None  # It is broken by its length, not by a quote.
    plain = _split_unquoted(text, delimiters)
    if _is_unquoted_row(plain, delimiters, width):
        return Record(line, plain, repaired=True)
    tolerant = _split_leniently(text.rstrip("\r\n"), delimiters)
    if tolerant and len(tolerant) in (width, width or len(tolerant)):
        return Record(line, tolerant, repaired=True)
    return None


class _RewindableLines:
    """Yields lines to the csv module, and keeps those of the current record to read them again."""

    def __init__(self, lines: Iterator[str], delimiters: Delimiters, first_line: int) -> None:
        self._lines = lines
        self._delimiters = delimiters
        self._escapes = delimiters.escape == "backslash"
        self._waiting: deque[str] = deque()
        self._next_line = first_line
        self._long_repairs = 0
        self.line = first_line
        self.record_lines: list[str] = []
        self.is_unclosed = False
        self.is_over_repair_limit = False

    def begin_record(self) -> None:
        self.line = self._next_line
        self.record_lines = []
        self.is_unclosed = self.is_over_repair_limit = False

    def next_plain(self) -> str | None:
        """The next line without its end, where it has no quotes and no escapes: splitting such a
        line takes half the time of the csv module. None where the csv module must read it."""
        text = self._waiting.popleft() if self._waiting else next(self._lines, None)
        if text is None:
            return None
        quote = self._delimiters.quote
        has_marks = (quote and quote in text) or (self._escapes and "\\" in text)
        if has_marks or len(text) > MAX_CELL_CHARS:
            self._waiting.appendleft(text)
            return None
        self._next_line += 1
        return text.rstrip("\r\n")

    def __iter__(self) -> "_RewindableLines":
        return self

    def __next__(self) -> str:
        if len(self.record_lines) >= LONG_REPAIR_LINES and self._long_repairs >= MAX_LONG_REPAIRS:
            self.is_over_repair_limit = True
            raise StopIteration
        text = self._waiting.popleft() if self._waiting else next(self._lines, None)
        if text is None:
            self.is_unclosed = bool(self.record_lines)
            raise StopIteration
        self._next_line += 1
        self.record_lines.append(text)
        if self._delimiters.escape != "backslash":
            return text
        protected = text.replace(f"\\{self._delimiters.delimiter}", HELD_SEPARATOR)
        return _to_doubled_quotes(protected, self._delimiters)

    def rewind(self) -> tuple[int, str]:
        """Return the number and text of this record's first line; its other lines are yielded
        again."""
        if len(self.record_lines) >= LONG_REPAIR_LINES:
            self._long_repairs += 1
        self._waiting.extendleft(reversed(self.record_lines[1:]))
        self._next_line = self.line + 1
        return self.line, self.record_lines[0]

    @property
    def error_message(self) -> str:
        if len(self.record_lines) == 1 and not (self.is_unclosed or self.is_over_repair_limit):
            if len(self.record_lines[0]) <= MAX_CELL_CHARS:
                return "A quotation mark inside a cell is not doubled."
            return f"A cell is longer than {MAX_CELL_CHARS:,} characters."
        return "A quotation mark opens on this line and is not closed."


def _is_broken(
    feed: _RewindableLines, cells: list[str], delimiters: Delimiters, width: int
) -> bool:
    if not feed.record_lines:
        return False
    if (
        feed.is_unclosed
        or feed.is_over_repair_limit
        or (not cells and feed.record_lines[0].strip("\r\n"))
    ):
        return True
    swallowed = feed.record_lines[1:]
    if not width or not swallowed:
        return False
    if all(
        _is_unquoted_row(_split_unquoted(text, delimiters), delimiters, width)
        for text in feed.record_lines
    ):
        return True
    if len(cells) == width:
        return False
    whole = sum(len(_parse_single_line(text, delimiters)) == width for text in swallowed)
    return width > 1 and whole * 2 >= len(swallowed)


def _csv_reader(feed: Iterator[str], delimiters: Delimiters) -> "Iterator[list[str]]":
    if not delimiters.quote:
        return csv.reader(feed, delimiter=delimiters.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(feed, delimiter=delimiters.delimiter, quotechar=delimiters.quote, strict=True)


def _parse_single_line(text: str, delimiters: Delimiters) -> list[str]:
    try:
        return next(_csv_reader(iter([text]), delimiters), [])
    except csv.Error:
        return []


def _split_unquoted(text: str, delimiters: Delimiters) -> list[str]:
    return text.rstrip("\r\n").split(delimiters.delimiter)


def _split_leniently(text: str, delimiters: Delimiters) -> list[str] | None:
    """A line whose quoted cells end only at a quote before a separator; None if one never ends."""
    quote, cells, start = delimiters.quote, [], 0
    while quote:
        is_quoted = text.startswith(quote, start)
        end = (
            _find_closing_quote(text, start, delimiters)
            if is_quoted
            else text.find(delimiters.delimiter, start)
        )
        if is_quoted and end < 0:
            return None
        cell = text[start + 1 : end] if is_quoted else text[start : end if end >= 0 else len(text)]
        cells.append(cell.replace(quote * 2, quote) if is_quoted else cell)
        start = end + 1 + is_quoted
        if end < 0 or start > len(text):
            return cells
    return None


def _find_closing_quote(text: str, start: int, delimiters: Delimiters) -> int:
    """Where the quoted cell that begins at `start` ends: an undoubled quote before a separator."""
    quote, end = delimiters.quote, start
    while (end := text.find(quote + delimiters.delimiter, end + 1)) >= 0:
        run = len(text[start + 1 : end + 1]) - len(text[start + 1 : end + 1].rstrip(quote))
        if run % 2:
            return end
    return len(text) - 1 if len(text) - 1 > start and text.endswith(quote) else -1


def _is_unquoted_row(cells: list[str], delimiters: Delimiters, width: int) -> bool:
    """Whether a line is a whole row when its quotes are read as text.

    Only for separators that are rare in prose: "Hello, you" is not two cells.
    """
    return width > 1 and len(cells) == width and delimiters.delimiter in "\t|"


def _to_doubled_quotes(text: str, delimiters: Delimiters) -> str:
    r"""Backslash escapes rewritten to doubled quotes: \" to "" and \\ to \, nothing else."""
    quote = delimiters.quote
    return re.sub(
        rf"\\([\\{re.escape(quote)}])",
        lambda escape: quote * 2 if escape[1] == quote else "\\",
        text,
    )
