"""Guesses how a delimited file is written: separator, quotes, header, what precedes it.

Every guess is shown to the customer and can be overruled; see `overrides` in `decide`.
"""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

from projects.reading.records import Marks, Record, split_records

DELIMITERS = [",", "\t", ";", "|"]
SINGLE_COLUMN_SCORE = 0.55  # What a table of several columns must beat.
NUMBER = re.compile(r"[-+]?[$€£]?\s?\d[\d.,]*\s?[%€]?([eE][-+]?\d+)?")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2})?")
ADDRESS = re.compile(r"(https?://|www\.)\S+|\S+@\S+\.\S+")


@dataclass(frozen=True)
class Layout:
    """A dialect with the place of its header. Lines count from 1 in the file."""

    marks: Marks
    width: int = 1
    preamble: list[Record] = field(default_factory=list)
    header: list[Record] = field(default_factory=list)
    why_header: str = ""
    fill_short_rows: bool = False
    trim_long_rows: bool = False  # Extra empty cells at the end are this file's habit.


def decide(sample: list[str], overrides: dict[str, Any]) -> Layout:
    """The layout that fits the first lines best, with the customer's choices taking precedence."""
    marks = _choose_marks(sample, overrides)
    records = list(split_records(iter(sample), marks))
    return arrange(records, marks, overrides)


def arrange(records: list[Record], marks: Marks, overrides: dict[str, Any]) -> Layout:
    """Where the header is in these first records. Also serves spreadsheets, which need no marks."""
    written = [record for record in records if any(cell.strip() for cell in record.cells)]
    if not written:
        return Layout(marks)
    skip = _preamble_length(records, overrides)
    body = [record for record in records[skip:] if any(cell.strip() for cell in record.cells)]
    preamble = [record for record in records[:skip] if any(cell.strip() for cell in record.cells)]
    header_rows, why = _header_rows(body, overrides)
    table = body[header_rows:] or body
    width = _usual_width(table)
    if header_rows:
        width = max(width, len(_without_empty_tail(body[header_rows - 1].cells)))
        if len(body[header_rows - 1].cells) > width and _is_usual(body, header_rows, width):
            width = len(body[header_rows - 1].cells)
    return Layout(
        marks=marks,
        width=width,
        preamble=preamble,
        header=body[:header_rows],
        why_header=why,
        fill_short_rows=_wants_filling(table, width, overrides),
        trim_long_rows=_is_habit([len(record.cells) > width for record in table if record.cells]),
    )


def _choose_marks(sample: list[str], overrides: dict[str, Any]) -> Marks:
    delimiters = [overrides["delimiter"]] if overrides.get("delimiter") else DELIMITERS
    candidates = []
    for delimiter in delimiters:
        marks = Marks(delimiter, *_quoting(sample, delimiter))
        if "quote" in overrides:
            marks = replace(marks, quote=overrides["quote"])
        if overrides.get("escape"):
            marks = replace(marks, escape=overrides["escape"])
        candidates.append(marks)
        if "quote" not in overrides and _quotes_are_letters(sample, marks):
            candidates.append(replace(marks, quote=""))
    return max(candidates, key=lambda marks: _fit(sample, marks))


def _quotes_are_letters(sample: list[str], marks: Marks) -> bool:
    """Every line is a whole row by itself, yet quotes would glue some lines together."""
    written = [line.rstrip("\r\n").split(marks.delimiter) for line in sample if line.strip()]
    width = len(written[0])
    if width < 2 or any(len(cells) != width for cells in written):
        return False
    return sum(1 for record in split_records(iter(sample), marks) if record.cells) < len(written)


def _quoting(sample: list[str], delimiter: str) -> tuple[str, str]:
    """The quote that most often encloses cells, and how one inside a cell is written."""
    text = "".join(sample)
    mark = re.escape(delimiter)

    def enclosed(quote: str) -> int:
        cell = rf"{quote}[^{quote}\r\n]*{quote}"
        return len(re.findall(rf"(?:^|{mark}){cell}(?={mark}|[\r\n]|$)", text, re.M))

    single, double = enclosed("'"), enclosed('"')
    quote = "'" if single > 2 * double else '"'
    escaped = len(re.findall(rf"\\{quote}(?!{mark}|[\r\n])", text))
    doubled = len(re.findall(rf"[^{mark}\r\n{quote}]{quote}{quote}(?!{quote})", text))
    return quote, "backslash" if escaped > doubled else "doubled"


def _fit(sample: list[str], marks: Marks) -> float:
    """How table-like the sample looks: equal widths, and cells that look like whole values."""
    records = [record for record in split_records(iter(sample), marks) if record.cells]
    widths = [len(record.cells) for record in records]
    if not widths:
        return 0.0
    width, _ = Counter(widths).most_common(1)[0]
    if width == 1:
        return SINGLE_COLUMN_SCORE
    regular = sum(found == width for found in widths) / len(widths)
    cells = itertools.islice((cell for record in records for cell in record.cells), 4_000)
    whole = mean(_wholeness(cell, marks) for cell in cells)
    return regular * whole * (1 + 0.02 * min(width, 10))


def _wholeness(cell: str, marks: Marks) -> float:
    """1 for what reads as one value, less for what another separator would still split."""
    text = cell.strip()
    if not text or NUMBER.fullmatch(text) or DATE.fullmatch(text) or ADDRESS.fullmatch(text):
        return 1.0
    if marks.quote and text.count(marks.quote) % 2:
        return 0.5
    others = [other for other in DELIMITERS[1:] if other != marks.delimiter and other in text]
    return 0.5 if others else 1.0


def _preamble_length(records: list[Record], overrides: dict[str, Any]) -> int:
    """How many records stand before the header: title lines with hardly a cell filled."""
    if overrides.get("skip_lines") is not None:
        wanted = int(overrides["skip_lines"])
        return sum(record.line <= wanted for record in records)
    width = _usual_width(records)
    if width == 1:
        return next((index for index, record in enumerate(records) if _filled(record)), 0)
    for index, record in enumerate(records[:-1]):
        if not _is_title(record, records[index + 1 :], width):
            return index
    return 0


def _is_title(record: Record, below: list[Record], width: int) -> bool:
    filled = _filled(record)
    if filled == 0:
        return True
    if filled >= 2 and (len(record.cells) == width or filled * 2 > width):
        return False
    usual = mean(_filled(other) for other in below[:20])
    return filled < min(2, width) and usual >= 1.5 or (len(record.cells) < width / 2)


def _header_rows(body: list[Record], overrides: dict[str, Any]) -> tuple[int, str]:
    if overrides.get("header_rows") is not None:
        return min(int(overrides["header_rows"]), len(body)), "chosen by hand"
    if not body:
        return 0, ""
    first, rest = body[0].cells, [record.cells for record in body[1:201]]
    for index, cell in enumerate(first):
        below = [cells[index].strip() for cells in rest if index < len(cells)]
        below = [value for value in below if value]
        text = cell.strip()
        alike = [_kind(value) == _kind(text) for value in below]
        if _kind(text) and (not below or mean(alike) > 0.8):
            return 0, f"the first line holds the value {text[:40]!r}, not names"
        if text and len(below) >= 5 and below.count(text) >= max(2, len(below) / 10):
            return 0, f"the value {text[:40]!r} of the first line comes again below"
    if len(first) == 1 and len(first[0]) > 60:
        return 0, "the first line reads as a text, not as a name"
    return 1, "the first line reads as names"


def _kind(value: str) -> str:
    for name, pattern in (("date", DATE), ("number", NUMBER), ("address", ADDRESS)):
        if pattern.fullmatch(value):
            return name
    return ""


def _usual_width(records: list[Record]) -> int:
    widths = Counter(len(record.cells) for record in records if _filled(record))
    return widths.most_common(1)[0][0] if widths else 1


def _is_usual(body: list[Record], header_rows: int, width: int) -> bool:
    """Whether the rows themselves carry the header's empty last columns."""
    table = body[header_rows:]
    return not table or mean(len(record.cells) > width for record in table) > 0.5


def _wants_filling(table: list[Record], width: int, overrides: dict[str, Any]) -> bool:
    """Short rows are filled where leaving out empty last cells is this file's habit."""
    if overrides.get("short_rows"):
        return bool(overrides["short_rows"] == "fill")
    return _is_habit([len(record.cells) < width for record in table if _filled(record)])


def _is_habit(odd: list[bool]) -> bool:
    """Whether odd rows come all through a file, not once and not only as a second table's block."""
    count = sum(odd)
    return len(odd) >= 10 and count > 0.1 * len(odd) and not all(odd[len(odd) - count :])


def _filled(record: Record) -> int:
    return sum(bool(cell.strip()) for cell in record.cells)


def _without_empty_tail(cells: list[str]) -> list[str]:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]
