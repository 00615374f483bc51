"""Excel workbooks (.xlsx) as a Source: one sheet, values only, formulas by their last result."""

import datetime
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl

from projects.reading.delimited import describe_header, names_of, shape_rows
from projects.reading.dialect import arrange
from projects.reading.limits import MOST_COLUMNS, MOST_UNPACKED_BYTES, SAMPLE_LINES
from projects.reading.outcome import Issues, Source, Unreadable
from projects.reading.records import Marks, Record

DAMAGED = "This Excel file is damaged and cannot be opened."
TOO_LARGE = "This workbook unpacks to more than 1 GB. Save it as CSV."


def open_spreadsheet(path: Path, overrides: dict[str, Any]) -> Source:
    """The chosen sheet, or the first that has cells. Raises Unreadable."""
    _refuse_bombs(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises anything at all on a damaged workbook.
        raise Unreadable("bad_workbook", DAMAGED) from error
    names = [sheet.title for sheet in book.worksheets]
    chosen = overrides.get("sheet") if overrides.get("sheet") in names else None
    for name in [chosen] if chosen else names:
        sample = list(itertools.islice(_records(book[name]), SAMPLE_LINES))
        if any(record.cells for record in sample):
            return _source(book, name, sample, overrides)
    raise Unreadable("empty_file", "This workbook is empty: no sheet has a filled cell.")


def _source(
    book: openpyxl.Workbook, sheet: str, sample: list[Record], overrides: dict[str, Any]
) -> Source:
    layout = arrange(sample, Marks(), {"short_rows": "fill"} | overrides)
    issues = Issues()
    for record in layout.preamble:
        issues.add("preamble", f"Row {record.line} above the header was left out.", record.line)
    if len(book.sheetnames) > 1:
        others = ", ".join(name for name in book.sheetnames if name != sheet)[:200]
        issues.add("other_sheets", f"Only the sheet {sheet!r} was read. There are also: {others}.")
    return Source(
        names=names_of(layout),
        rows=shape_rows(_records(book[sheet]), layout, issues),
        dialect={
            "format": "excel",
            "sheet": sheet,
            "sheets": book.sheetnames,
            **describe_header(layout),
        },
        issues=issues,
    )


def _records(sheet: Any) -> Iterator[Record]:
    rows = sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS)
    try:
        for number, row in enumerate(rows, 1):
            cells = [_cell(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            yield Record(number, cells)
    except Exception as error:  # Damaged sheets fail while they are read, in many ways.
        raise Unreadable("bad_workbook", "A sheet of this Excel file is damaged.") from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).replace("\0", "")


def _refuse_bombs(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Unreadable("bad_workbook", DAMAGED) from error
    if unpacked > MOST_UNPACKED_BYTES:
        raise Unreadable("workbook_too_large", TOO_LARGE)
