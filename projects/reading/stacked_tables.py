"""Detects what is below a table in the same sheet or file: notes, and further tables."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from projects.reading.csv.dialect import CsvDialect
from projects.reading.csv.header_rows import judge_header, value_type
from projects.reading.csv.records import Record
from projects.reading.results import Issues

COMPARED_ROWS = 50
NOTE = "The row stands below an empty one and holds one value: a note, not a row of the table."


def mark_notes(records: Iterator[Record]) -> Iterator[Record]:
    """The records. One that holds a single value below an empty row, where rows above hold more,
    gets a `problem`, so that it is listed with the rejected rows."""
    is_below_blank, widest = False, 0
    for record in records:
        filled = sum(bool(cell.strip()) for cell in record.cells)
        is_note = filled == 1 < widest and is_below_blank and bool(record.cells[0].strip())
        yield replace(record, problem=NOTE) if is_note else record
        widest = max(widest, filled)
        is_below_blank = not filled or (is_below_blank and is_note)


def report_further_tables(records: Sequence[Record], dialect: CsvDialect, issues: Issues) -> None:
    """Report each place where another header seems to begin below an empty row, as its rows were
    read as rows of the first table."""
    if not dialect.header:
        return
    start = next(
        (place for place, record in enumerate(records) if record.line > dialect.header[-1].line), 0
    )
    for place in range(start + 1, len(records) - 1):
        if any(records[place - 1].cells) or not _begins_table(records, start, place):
            continue
        issues.add(
            "further_table",
            f"Another table seems to begin in row {records[place].line:,}, below an empty row. Its"
            " rows were read as rows of the table above: save each table in a file of its own.",
            records[place].line,
        )


def _begins_table(records: Sequence[Record], start: int, place: int) -> bool:
    cells = records[place].cells
    if len(cells) < 2 or not all(map(str.strip, cells)) or any(map(value_type, cells)):
        return False
    above = [
        record.cells
        for record in records[max(start, place - COMPARED_ROWS) : place]
        if record.cells
    ]
    below = [
        record.cells for record in records[place + 1 : place + 1 + COMPARED_ROWS] if record.cells
    ]
    return all(_names_columns(cells, rows) for rows in (above, below) if rows) and bool(below)


def _names_columns(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    verdict = judge_header(cells, rows)
    values = {cell for row in rows for cell in row}
    return verdict.is_header and not verdict.is_doubtful and not values & set(cells)
