"""Splits lines of text into records, surviving stray quotes without losing the rest of the file."""

import csv
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from projects.reading.limits import MOST_CELL_CHARS

csv.field_size_limit(MOST_CELL_CHARS)
# Each rescue reads up to a cell's worth again; a file made of stray quotes must still end.
MOST_LONG_RESCUES = 50
LINES_AFTER_RESCUES = 20


@dataclass(frozen=True)
class Marks:
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
    lines: Iterator[str], marks: Marks, *, width: int = 0, first_line: int = 1
) -> Iterator[Record]:
    """Every record of the lines. A known `width` lets swallowed rows be told from long cells."""
    feed = _Feed(lines, marks, first_line)
    reader = _reader(feed, marks)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = []
        if _is_broken(feed, cells, marks, width):
            line, text = feed.rewind()
            reader = _reader(feed, marks)
            yield _rescued(line, text, marks, width) or Record(
                line, _split_plainly(text, marks), feed.complaint
            )
        else:
            yield Record(feed.line, cells, lines=len(feed.taken))


def _rescued(line: int, text: str, marks: Marks, width: int) -> Record | None:
    """The line as a row of its own, where its stray quotes leave only one way to read it."""
    plain = _split_plainly(text, marks)
    if _fits_plainly(plain, marks, width):
        return Record(line, plain, repaired=True)
    tolerant = _split_tolerantly(text.rstrip("\r\n"), marks)
    if tolerant and len(tolerant) in (width, width or len(tolerant)):
        return Record(line, tolerant, repaired=True)
    return None


class _Feed:
    """Hands lines to the csv module and remembers those of the current record, to go back."""

    def __init__(self, lines: Iterator[str], marks: Marks, first_line: int) -> None:
        self._lines = lines
        self._marks = marks
        self._waiting: deque[str] = deque()
        self._next_line = first_line
        self._rescues = 0
        self.line = first_line
        self.taken: list[str] = []
        self.ended_inside = False
        self.gave_up = False

    def begin(self) -> None:
        self.line = self._next_line
        self.taken = []
        self.ended_inside = self.gave_up = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LINES_AFTER_RESCUES and self._rescues >= MOST_LONG_RESCUES:
            self.gave_up = True
            raise StopIteration
        text = self._waiting.popleft() if self._waiting else next(self._lines, None)
        if text is None:
            self.ended_inside = bool(self.taken)
            raise StopIteration
        self._next_line += 1
        self.taken.append(text)
        return _unescaped(text, self._marks) if self._marks.escape == "backslash" else text

    def rewind(self) -> tuple[int, str]:
        """Give back all lines of this record but its first, which is returned with its number."""
        if len(self.taken) >= LINES_AFTER_RESCUES:
            self._rescues += 1
        self._waiting.extendleft(reversed(self.taken[1:]))
        self._next_line = self.line + 1
        return self.line, self.taken[0]

    @property
    def complaint(self) -> str:
        if len(self.taken) == 1 and not (self.ended_inside or self.gave_up):
            return f"A cell is longer than {MOST_CELL_CHARS:,} characters."
        return "A quotation mark opens on this line and is not closed."


def _is_broken(feed: _Feed, cells: list[str], marks: Marks, width: int) -> bool:
    if not feed.taken:
        return False
    if feed.ended_inside or feed.gave_up or (not cells and feed.taken[0].strip("\r\n")):
        return True
    swallowed = feed.taken[1:]
    if not width or not swallowed:
        return False
    if all(_fits_plainly(_split_plainly(text, marks), marks, width) for text in feed.taken):
        return True
    if len(cells) == width:
        return False
    whole = sum(len(_split_alone(text, marks)) == width for text in swallowed)
    return width > 1 and whole * 2 >= len(swallowed)


def _reader(feed: Iterator[str], marks: Marks) -> "Iterator[list[str]]":
    if not marks.quote:
        return csv.reader(feed, delimiter=marks.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(feed, delimiter=marks.delimiter, quotechar=marks.quote, strict=True)


def _split_alone(text: str, marks: Marks) -> list[str]:
    try:
        return next(_reader(iter([text]), marks), [])
    except csv.Error:
        return []


def _split_plainly(text: str, marks: Marks) -> list[str]:
    return text.rstrip("\r\n").split(marks.delimiter)


def _split_tolerantly(text: str, marks: Marks) -> list[str] | None:
    """A line whose quoted cells end only at a quote before a separator; None if one never ends."""
    quote, cells, start = marks.quote, [], 0
    while quote:
        is_quoted = text.startswith(quote, start)
        end = _closing(text, start, marks) if is_quoted else text.find(marks.delimiter, start)
        if is_quoted and end < 0:
            return None
        cell = text[start + 1 : end] if is_quoted else text[start : end if end >= 0 else len(text)]
        cells.append(cell.replace(quote * 2, quote) if is_quoted else cell)
        start = end + 1 + is_quoted
        if end < 0 or start > len(text):
            return cells
    return None


def _closing(text: str, start: int, marks: Marks) -> int:
    """Where the quoted cell that begins at `start` ends: an undoubled quote before a separator."""
    quote, found = marks.quote, start
    while (found := text.find(quote + marks.delimiter, found + 1)) >= 0:
        run = len(text[start + 1 : found + 1]) - len(text[start + 1 : found + 1].rstrip(quote))
        if run % 2:
            return found
    return len(text) - 1 if len(text) - 1 > start and text.endswith(quote) else -1


def _fits_plainly(cells: list[str], marks: Marks, width: int) -> bool:
    """Whether a line is a whole row once its quotes mean nothing.

    Only told of separators that do not come in prose: "Hello, you" is no two cells.
    """
    return width > 1 and len(cells) == width and marks.delimiter in "\t|"


def _unescaped(text: str, marks: Marks) -> str:
    r"""Backslash escapes rewritten to doubled quotes: \" to "" and \\ to \, nothing else."""
    quote = marks.quote
    return re.sub(
        rf"\\([\\{re.escape(quote)}])",
        lambda found: quote * 2 if found[1] == quote else "\\",
        text,
    )
