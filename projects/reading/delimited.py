"""CSV, TSV and their relatives as a Source: shape decided from a sample, then streamed."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from projects.reading import encodings
from projects.reading.dialect import Layout, decide
from projects.reading.limits import (
    MOST_CELL_CHARS,
    MOST_LINE_CHARS,
    SAMPLE_CHARS,
    SAMPLE_LINES,
)
from projects.reading.outcome import Issues, Reject, Source, Unreadable
from projects.reading.records import Record, split_records

STRAY_QUOTE = "A quotation mark inside a cell was not doubled; it was kept as part of the cell."
# Text converted twice keeps Windows-1252 dashes and quotes as control codes U+0080 to U+009F.
# A line that also holds codes which Windows-1252 leaves undefined means them as they are.
STRAY_WESTERN = re.compile("[\x80\x82-\x84\x86-\x8c\x8e\x91-\x9c\x9e\x9f]")
MEANT_CONTROLS = re.compile("[\x81\x8d\x8f\x90\x9d]")
WESTERN = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if not MEANT_CONTROLS.match(chr(code))
}


def open_delimited(path: Path, overrides: dict[str, Any]) -> Source:
    """The file as a table of text. Raises Unreadable when there is no table in it."""
    encoding = _encoding_of(path, overrides)
    sample = list(itertools.islice(_lines(path, encoding, Issues()), SAMPLE_LINES))
    sample = _within(sample, SAMPLE_CHARS)
    if not any(line.strip() for line in sample):
        raise Unreadable("empty_file", "This file is empty: there is no row in it.")
    layout = decide(sample, overrides)
    issues = Issues()
    _tell(encoding, layout, issues)
    lines = _lines(path, encoding, issues)
    records = split_records(lines, layout.marks, width=layout.width)
    return Source(
        names=names_of(layout),
        rows=shape_rows(records, layout, issues),
        dialect=_describe(encoding, layout, sample),
        issues=issues,
    )


def names_of(layout: Layout) -> list[str]:
    """One name per column as written; several header rows are joined, empty where there is none."""
    if not layout.header:
        return [""] * layout.width
    rows = [_padded(record.cells, layout.width) for record in layout.header]
    for row in rows[:-1]:
        _carry_right(row)
    return [_joined(parts) for parts in zip(*rows, strict=True)]


def shape_rows(
    records: Iterator[Record], layout: Layout, issues: Issues
) -> "Iterator[list[str | None] | Reject]":
    """The rows below the header, each as wide as the table, or a Reject that says why not."""
    above = (layout.header or layout.preamble or [Record(0, [])])[-1].line
    blank, broken_lines = Counted(), Counted()
    for record in records:
        if record.line <= above:
            continue
        if record.problem:
            yield Reject(record.line, "", record.problem, record.cells)
        elif not any(cell and not cell.isspace() for cell in record.cells):
            blank.add(record.line)
        else:
            if record.lines > 1:
                broken_lines.add(record.line)
            if record.repaired:
                issues.add("stray_quote", STRAY_QUOTE, record.line)
            yield _reshaped(record, layout)
    if broken_lines.count:
        issues.add(
            "line_breaks",
            f"{broken_lines.count:,} rows hold line breaks inside quotes and span several lines.",
            broken_lines.first,
        )
    if blank.count:
        issues.add("blank_rows", f"{blank.count:,} empty rows were left out.", blank.first)


@dataclass
class Counted:
    """How often something was met, and where first."""

    count: int = 0
    first: int | None = None

    def add(self, line: int) -> None:
        self.count += 1
        self.first = self.first or line


def _reshaped(record: Record, layout: Layout) -> "list[str | None] | Reject":
    cells, width = record.cells, layout.width
    if len(cells) == width:
        return _checked(record, cells)
    has_empty_tail = not any(cell.strip() for cell in cells[width:])
    if len(cells) > width and layout.trim_long_rows and has_empty_tail:
        return _checked(record, cells[:width])
    if len(cells) < width and layout.fill_short_rows:
        return [*cells, *([None] * (width - len(cells)))]
    values = "1 value" if len(cells) == 1 else f"{len(cells)} values"
    columns = "1 column" if width == 1 else f"{width} columns"
    return Reject(record.line, "", f"The row has {values} where the table has {columns}.", cells)


def _checked(record: Record, cells: list[str]) -> "list[str | None] | Reject":
    if sum(map(len, cells)) <= MOST_CELL_CHARS:
        return list(cells)
    return Reject(record.line, "", f"The row is longer than {MOST_CELL_CHARS:,} characters.", cells)


def _lines(path: Path, encoding: encodings.Encoding, issues: Issues) -> Iterator[str]:
    zeros, strays = Counted(), Counted()
    with open(path, encoding=encoding.name, errors="replace", newline="") as file:
        for number, line in enumerate(_bounded(file), 1):
            if "\0" in line:
                zeros.add(number)
                line = line.replace("\0", "")
            if _is_stray_western(line):
                strays.add(number)
                line = line.translate(WESTERN)
            yield line
    if strays.count:
        issues.add(
            "stray_western",
            f"On {strays.count:,} lines control codes were read as the Windows-1252 dashes and"
            " quotation marks they stand for.",
            strays.first,
        )
    if zeros.count:
        sentence = f"NUL characters on {zeros.count:,} lines were taken out."
        issues.add("zero_bytes", sentence, zeros.first)


def _is_stray_western(line: str) -> bool:
    return (
        not line.isascii()
        and STRAY_WESTERN.search(line) is not None
        and MEANT_CONTROLS.search(line) is None
    )


def _bounded(file: TextIO) -> Iterator[str]:
    while line := file.readline(MOST_LINE_CHARS):
        if len(line) == MOST_LINE_CHARS:
            raise Unreadable(
                "line_too_long",
                f"A line of this file is longer than {MOST_LINE_CHARS:,} characters. Is it a text"
                " table?",
            )
        yield line


def _encoding_of(path: Path, overrides: dict[str, Any]) -> encodings.Encoding:
    chosen = overrides.get("encoding")
    if chosen in encodings.CHOICES:
        found = encodings.detect(path)
        name = found.name if found.shown == chosen else chosen
        return encodings.Encoding(name, "chosen by hand", found.broken_bytes)
    return encodings.detect(path)


def _tell(encoding: encodings.Encoding, layout: Layout, issues: Issues) -> None:
    if encoding.broken_bytes:
        issues.add(
            "broken_characters",
            f"{encoding.broken_bytes:,} places are not valid UTF-8; they now read as \ufffd.",
        )
    for record in layout.preamble:
        shown = " ".join(cell.strip() for cell in record.cells if cell.strip())[:80]
        sentence = f"Line {record.line} above the header was left out: {shown}"
        issues.add("preamble", sentence, record.line)
    if layout.fill_short_rows:
        sentence = "Rows with too few values were filled with missing values at the end."
        issues.add("short_rows", sentence)


def _describe(encoding: encodings.Encoding, layout: Layout, sample: list[str]) -> dict[str, Any]:
    ends = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
    found = next((ends[end] for end in ends if sample[0].endswith(end)), "none")
    return {
        "format": "delimited",
        "encoding": encoding.shown,
        "encoding_why": encoding.why,
        "delimiter": layout.marks.delimiter,
        "quote": layout.marks.quote,
        "escape": layout.marks.escape,
        "line_ends": found,
        **describe_header(layout),
    }


def describe_header(layout: Layout) -> dict[str, Any]:
    """Where the header is, in words for the dataset page."""
    above = [*layout.preamble, *layout.header[:1]]
    return {
        "header_rows": len(layout.header),
        "header_why": layout.why_header,
        "skip_lines": max(0, layout.header[0].line - 1)
        if layout.header
        else (above[-1].line if above else 0),
        "preamble": [" ".join(record.cells).strip()[:200] for record in layout.preamble[:10]],
        "short_rows": "fill" if layout.fill_short_rows else "reject",
    }


def _within(lines: list[str], most_chars: int) -> list[str]:
    sized = zip(lines, itertools.accumulate(map(len, lines)), strict=True)
    return [line for line, size in sized if size <= most_chars] or lines[:1]


def _padded(cells: list[str], width: int) -> list[str]:
    return [*cells, *([""] * (width - len(cells)))][:width]


def _joined(parts: tuple[str, ...]) -> str:
    return " ".join(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _carry_right(row: list[str]) -> None:
    """A title over several columns is written once; it holds for the empty cells to its right."""
    for index in range(1, len(row)):
        row[index] = row[index] if row[index].strip() else row[index - 1]
