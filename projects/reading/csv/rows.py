"""Makes rows of one width of the records below a header. Blank records are counted and left out;
records that are not rows are rejected with a reason."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from projects.reading.csv.dialect import CsvDialect
from projects.reading.csv.records import Record
from projects.reading.limits import MAX_CELL_CHARS
from projects.reading.results import Issues, RejectedRow

STRAY_QUOTE = "A quotation mark inside a cell was not doubled; it was kept as part of the cell."
RULER = re.compile(r"\s*:?-{3,}:?\s*|\s*={3,}\s*")
RULER_STARTS = ("", " ", "-", ":", "=")
TEXT_FORMULA = re.compile(r'^="([^"]*)"$')  # Excel's way to keep 007 in a CSV.


def normalize_rows(
    records: Iterator[Record], dialect: CsvDialect, issues: Issues
) -> "Iterator[list[str | None] | RejectedRow]":
    """The rows below the header, each as wide as the table, or a RejectedRow with the reason."""
    above = (dialect.header or dialect.preamble or [Record(0, [])])[-1].line
    counts = RowCounts()
    for record in records:
        if record.line <= above:
            continue
        row = judge_record(record, dialect, counts)
        while counts.repaired:
            issues.add("stray_quote", STRAY_QUOTE, counts.repaired.pop())
        if row is not None:
            yield row
    counts.report(issues)


def judge_record(
    record: Record, dialect: CsvDialect, counts: "RowCounts"
) -> "list[str | None] | RejectedRow | None":
    """One record below the header as a row, or as a RejectedRow; None for an empty one."""
    cells = record.cells
    if record.problem:
        return RejectedRow(record.line, "", record.problem, cells)
    # Most rows have a filled first cell: looking at it first saves time on every row.
    is_first_blank = not cells or not cells[0] or cells[0].isspace()
    if is_first_blank and not any(cell and not cell.isspace() for cell in cells):
        counts.blank.add(record.line)
        return None
    if reason := _reason_to_leave_out(record, dialect):
        return RejectedRow(record.line, "", reason, record.cells)
    if record.lines > 1 or dialect.has_text_formulas:
        counts.note(record, dialect)
    if record.repaired:
        counts.repaired.append(record.line)
    return _normalize_row(record, dialect)


def _reason_to_leave_out(record: Record, dialect: CsvDialect) -> str:
    """Why a row does not belong to the table: it repeats the header, as where files were joined, or
    is a line of dashes, as in Markdown. "" for any other row."""
    cells = record.cells
    if len(cells) < 2:
        return ""
    names = dialect.header[-1].cells if dialect.header else [""]
    # The first cell is compared before the others to save time on every row.
    is_alike = cells[0].strip(" ") == names[0].strip(" ")
    if is_alike and [cell.strip(" ") for cell in cells] == [name.strip(" ") for name in names]:
        return "The row repeats the header."
    if cells[0][:1] in RULER_STARTS and all(RULER.fullmatch(cell) for cell in cells if cell):
        return "The row is a line of dashes."
    return ""


@dataclass
class LineCounter:
    """How often something occurred, and the first line where it did."""

    count: int = 0
    first_line: int | None = None

    def add(self, line: int) -> None:
        self.count += 1
        self.first_line = self.first_line or line


@dataclass
class RowCounts:
    """What was changed or left out in rows that were not rejected, to be reported at the end."""

    blank: LineCounter = field(default_factory=LineCounter)
    broken: LineCounter = field(default_factory=LineCounter)
    formulas: LineCounter = field(default_factory=LineCounter)
    repaired: list[int] = field(default_factory=list)  # Line numbers, reported one by one.

    def note(self, record: Record, dialect: CsvDialect) -> None:
        if record.lines > 1:
            self.broken.add(record.line)
        if dialect.has_text_formulas and any(map(TEXT_FORMULA.fullmatch, record.cells)):
            self.formulas.add(record.line)

    def report(self, issues: Issues) -> None:
        if count := self.broken.count:
            issues.add(
                "line_breaks",
                "1 row holds line breaks inside quotes and spans several lines."
                if count == 1
                else f"{count:,} rows hold line breaks inside quotes and span several lines.",
                self.broken.first_line,
            )
        if count := self.formulas.count:
            issues.add(
                "text_formulas",
                f"{'1 row holds' if count == 1 else f'{count:,} rows hold'}"
                ' cells such as ="007", which were read as 007.',
                self.formulas.first_line,
            )
        if count := self.blank.count:
            issues.add(
                "blank_rows",
                f"{'1 empty row was' if count == 1 else f'{count:,} empty rows were'} left out.",
                self.blank.first_line,
            )


def _normalize_row(record: Record, dialect: CsvDialect) -> "list[str | None] | RejectedRow":
    cells, width = record.cells, dialect.width
    if dialect.has_text_formulas:
        cells = [TEXT_FORMULA.sub(r"\1", cell) for cell in cells]
    if dialect.missing_word:
        cells = ["" if cell == dialect.missing_word else cell for cell in cells]
    if len(cells) == width:
        return _check_row_length(record, cells)
    has_empty_tail = not any(cell.strip() for cell in cells[width:])
    if len(cells) > width and dialect.trim_long_rows and has_empty_tail:
        return _check_row_length(record, cells[:width])
    if len(cells) < width and dialect.fill_short_rows:
        return [*cells, *([None] * (width - len(cells)))]
    values = "1 value" if len(cells) == 1 else f"{len(cells)} values"
    columns = "1 column" if width == 1 else f"{width} columns"
    return RejectedRow(
        record.line, "", f"The row has {values} where the table has {columns}.", cells
    )


def _check_row_length(record: Record, cells: list[str]) -> "list[str | None] | RejectedRow":
    if sum(map(len, cells)) <= MAX_CELL_CHARS:
        return list(cells)
    return RejectedRow(
        record.line, "", f"The row is longer than {MAX_CELL_CHARS:,} characters.", cells
    )
