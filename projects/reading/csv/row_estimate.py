"""Refuses a file of far too many rows before it is read: an estimate from pieces of it. Reading
on to the row beyond the limit would take minutes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from projects.reading.csv.dialect import CsvDialect
from projects.reading.csv.records import Delimiters
from projects.reading.limits import MAX_ROWS
from projects.reading.results import UnreadableFile

PIECES, PIECE_BYTES = 16, 4 * 1024 * 1024  # Longer than any cell may be, so that each shows quotes.
MIN_ROW_BYTES = 2  # A character and the end of the line.
CERTAINTY = 1.5  # Times the limit; and no piece may speak for a table within it.

RowCounter = Callable[[list[bytes]], int]  # Counts the rows among whole lines.


def refuse_long_csv(path: Path, encoding: str, dialect: CsvDialect) -> None:
    """Raises UnreadableFile where the file certainly has more rows than a table may have. Not for
    encodings in which a line end is more than a byte, and not where cells may hold line ends."""
    delimiters = dialect.delimiters
    is_usual = delimiters == Delimiters(delimiters.delimiter) and delimiters.delimiter.isascii()
    if not is_usual or encoding.startswith(("utf-16", "utf-32")):
        return
    separator = re.escape(delimiters.delimiter.encode())
    cell = rb'(?:"(?:[^"]|"")*"|[^"' + separator + rb"]*)"
    row = re.compile(cell + (rb"(?:" + separator + cell + rb"){%d}" % (dialect.width - 1)))

    def count_rows(lines: list[bytes]) -> int:
        # The line in which a cell with line breaks begins has an odd number of quotes.
        if any(line.count(b'"') % 2 for line in lines):
            return 0
        return sum(bool(line.strip() and row.fullmatch(line.rstrip(b"\r"))) for line in lines)

    _refuse_long(path, count_rows)


def refuse_long_json_lines(path: Path) -> None:
    """The same for a file with an object in each line; no JSON text holds a bare line end."""
    _refuse_long(path, lambda lines: sum(line.startswith(b"{") for line in lines))


def _refuse_long(path: Path, count_rows: RowCounter) -> None:
    size = path.stat().st_size
    if size < CERTAINTY * MAX_ROWS * MIN_ROW_BYTES:
        return
    densities = []
    for lines in _read_pieces(path, size):
        length = sum(map(len, lines)) + len(lines)
        densities.append(count_rows(lines) / length if length else 0.0)
        if densities[-1] * size < MAX_ROWS:
            return
    estimate = size * sum(densities) / len(densities)
    if estimate >= CERTAINTY * MAX_ROWS:
        raise UnreadableFile(
            "too_many_rows",
            f"This table has about {round(estimate, -6):,.0f} rows, by an estimate from its size"
            f" and parts of it; at most {MAX_ROWS:,} are read. Split it, or upload a part of its"
            " rows: a model learns little more from so many.",
        )


def _read_pieces(path: Path, size: int) -> Iterator[list[bytes]]:
    """The whole lines of pieces that lie evenly over the file."""
    with open(path, "rb") as file:
        for number in range(PIECES):
            file.seek(number * (size - PIECE_BYTES) // (PIECES - 1))
            yield file.read(PIECE_BYTES).split(b"\n")[1:-1]
