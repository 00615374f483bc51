"""Opens workbooks (.xlsx, .xlsb, .xls, .ods) as a TableSource of values; a formula's value is its
last result.

calamine reads them from an open file, so that nothing depends on the upload's name. A merged cell
has its value in every row it covers. The largest sheet is read unless one is chosen; sheets with
the same columns are joined into one table.
"""

import datetime
import itertools
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from projects.reading.columns.names import unique_column_names
from projects.reading.csv.dialect import CsvDialect, locate_header
from projects.reading.csv.header_rows import value_type
from projects.reading.csv.records import Delimiters, Record
from projects.reading.csv.rows import normalize_rows
from projects.reading.csv.source import (
    column_names,
    describe_header,
    header_questions,
)
from projects.reading.limits import MAX_COLUMNS, MAX_UNPACKED_BYTES, SAMPLE_LINES
from projects.reading.results import Issues, ReadingOptions, TableSource, UnreadableFile
from projects.reading.stacked_tables import mark_notes, report_further_tables
from projects.reading.workbook_numbers import Places, find_long_numbers
from projects.reading.workbooks.hidden import count_hidden_rows, find_hidden_columns
from projects.reading.workbooks.mixed_dates import report_mixed_dates

DAMAGED_WORKBOOK = (
    "This workbook is damaged and cannot be opened. Open it in Excel and save it again."
)
PROTECTED_WORKBOOK = "This workbook is protected by a password. Save it without one."
WORKBOOK_TOO_LARGE = "This workbook unpacks to more than 1 GB. Save it as CSV."
SHEET_COLUMN = "sheet"
HEADER_SAMPLE_ROWS = 100
EXACT_NUMBERS = 1e15
FORMULA_ROWS = 50  # Enough to see that a column holds formulas.

Cells = list[Any]


def open_spreadsheet(path: Path, overrides: ReadingOptions) -> TableSource:
    """The chosen sheet, the sheets that share their columns, or the largest one.

    Raises UnreadableFile.
    """
    _reject_zip_bomb(path)
    sheets, hidden, left_edges = _read_sheets(path)
    filled = {
        name: rows
        for name, rows in sheets.items()
        if any(any(map(_is_filled, row)) for row in rows)
    }
    visible = {name: rows for name, rows in filled.items() if name not in hidden} or filled
    if not filled:
        raise UnreadableFile("empty_file", "This workbook is empty: no sheet has a filled cell.")
    issues = Issues()
    chosen = overrides.get("sheet")
    names = [chosen] if chosen in filled else _choose_sheets(visible)
    others = ", ".join(repr(name) for name in sheets if name not in names)[:200]
    if len(names) > 1:
        joined = ", ".join(repr(name) for name in names)[:200]
        issues.add(
            "joined_sheets",
            f"The sheets {joined} have the same columns and were joined; the column"
            f" {SHEET_COLUMN!r} says which row came from where.",
        )
    if others:
        listed = ", ".join(repr(name) for name in names)[:200]
        issues.add("other_sheets", f"Only the sheet {listed} was read. There are also: {others}.")
    source = _build_source(filled, names, overrides, issues)
    source.dialect["sheets"] = list(sheets)
    _report_unsaved_formulas(path, names[0], source, filled[names[0]])
    _report_error_cells(path, issues)
    _report_hidden(path, names, left_edges[names[0]], source)
    report_mixed_dates(filled[names[0]], unique_column_names(source.names), issues)
    _report_shortened(itertools.chain.from_iterable(filled[name] for name in names), issues)
    return source


def _report_hidden(path: Path, names: Sequence[str], left_edge: int, source: TableSource) -> None:
    """Of the sheets that were read: hidden rows, and the hidden columns of the first one."""
    places = {place - left_edge for place in find_hidden_columns(path, names[0])}
    columns = unique_column_names(source.names)
    source.dialect["hidden_columns"] = [
        column for place, column in enumerate(columns) if place in places
    ]
    if hidden_rows := count_hidden_rows(path, names):
        source.issues.add(
            "hidden_rows",
            "1 row is hidden in the workbook, by a filter or by hand. It was read like all others."
            if hidden_rows == 1
            else f"{hidden_rows:,} rows are hidden in the workbook, by a filter or by hand. They"
            " were read like all others.",
        )


def _read_sheets(path: Path) -> tuple[dict[str, list[Cells]], set[str], dict[str, int]]:
    """All cells of all sheets, the names of those that are hidden (lists for choosing, as a rule),
    and how many empty columns were on the left of each. calamine holds a sheet in memory whole."""
    long_numbers = find_long_numbers(path)
    with open(path, "rb") as file, _workbook_errors():
        book = CalamineWorkbook.from_filelike(file)
        whole = {
            name: _read_cells(book.get_sheet_by_name(name), long_numbers.get(name, {}))
            for name in book.sheet_names
        }
        left_edges = {name: _left_edge(rows) for name, rows in whole.items()}
        sheets = {name: [row[left_edges[name] :] for row in rows] for name, rows in whole.items()}
        hidden = {
            sheet.name
            for sheet in book.sheets_metadata
            if sheet.visible != SheetVisibleEnum.Visible
        }
        return sheets, hidden, left_edges


@contextmanager
def _workbook_errors() -> Iterator[None]:
    try:
        yield
    except CalamineError as error:
        is_protected = "password" in str(error).lower()
        sentence = PROTECTED_WORKBOOK if is_protected else DAMAGED_WORKBOOK
        raise UnreadableFile("bad_workbook", sentence) from error
    except (OSError, ValueError, OverflowError) as error:
        raise UnreadableFile("bad_workbook", DAMAGED_WORKBOOK) from error


def _read_cells(sheet: CalamineSheet, long_numbers: Places) -> list[Cells]:
    rows = [row[:MAX_COLUMNS] for row in sheet.to_python(skip_empty_area=False)]
    for (row_number, place), text in long_numbers.items():
        if row_number < len(rows) and place < len(rows[row_number]):
            rows[row_number][place] = text
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        is_title = top == bottom and right > left and not any(rows[top][right + 1 :])
        if is_title and not any(rows[top][:left]):
            continue  # A title above the table stays one cell.
        for row in rows[top : bottom + 1]:
            row[left : right + 1] = [value] * (min(right, len(row) - 1) - left + 1)
    return rows


def _left_edge(rows: list[Cells]) -> int:
    """How many columns are empty on the left: a table may begin further right."""
    first = min(
        (next((place for place, cell in enumerate(row) if _is_filled(cell)), MAX_COLUMNS))
        for row in rows or [[]]
    )
    return first if first < MAX_COLUMNS else 0


def _choose_sheets(filled: dict[str, list[Cells]]) -> list[str]:
    """The largest sheet, with those that have the same header, in the same row."""
    largest = max(filled, key=lambda name: sum(sum(map(_is_filled, row)) for row in filled[name]))
    header = _header_of(filled[largest])
    same = [name for name, rows in filled.items() if _header_of(rows) == header]
    return same if header is not None and len(header[1]) > 1 else [largest]


def _header_of(rows: list[Cells]) -> tuple[int, list[str]] | None:
    """The line of a sheet's header and the names in it; None where it has no header."""
    sample = list(itertools.islice(_iter_records(rows), HEADER_SAMPLE_ROWS))
    header = locate_header(sample, Delimiters(), {"short_rows": "fill"}).header
    if not header:
        return None
    return header[-1].line, [cell.strip() for cell in header[-1].cells]


def _is_filled(value: Any) -> bool:
    return value is not None and value != ""


def _build_source(
    filled: dict[str, list[Cells]], names: list[str], overrides: ReadingOptions, issues: Issues
) -> TableSource:
    records = list(mark_notes(_iter_records(filled[names[0]])))
    sample = list(itertools.islice(records, SAMPLE_LINES))
    header = locate_header(sample, Delimiters(), {"short_rows": "fill", **overrides})
    if "header_rows" not in overrides and _has_group_names(header, sample):
        options: ReadingOptions = {"short_rows": "fill", **overrides, "header_rows": 2}
        header = locate_header(sample, Delimiters(), options)
    report_further_tables(records, header, issues)
    for record in header.preamble:
        issues.add("preamble", f"Row {record.line} above the header was left out.", record.line)
    columns = column_names(header)
    rows = normalize_rows(iter(records), header, issues)
    if len(names) > 1:
        columns = [*columns, SHEET_COLUMN]
        parts = [
            _with_sheet_name(
                normalize_rows(mark_notes(_iter_records(filled[name])), header, issues), name
            )
            for name in names[1:]
        ]
        rows = itertools.chain(_with_sheet_name(rows, names[0]), *parts)
    return TableSource(
        names=columns,
        rows=rows,
        dialect={"format": "excel", "sheet": names[0], **describe_header(header)},
        issues=issues,
        questions=header_questions(header),
    )


def _has_group_names(header: CsvDialect, sample: list[Record]) -> bool:
    """Whether the header names groups of columns (merged cells) and the next row names the columns.
    A header of years may at first have been taken for data."""
    if len(header.header) > 1:
        return False
    above = {record.line for record in header.preamble}
    first = next((one for one in sample if any(one.cells) and one.line not in above), None)
    groups = header.header[0] if header.header else first
    if groups is None:
        return False
    below = next((record for record in sample if record.line > groups.line), None)
    if below is None or len(set(groups.cells)) == len(groups.cells):
        return False
    pairs = set(zip(groups.cells, below.cells, strict=False))
    is_named = all(cell.strip() for cell in below.cells) and len(pairs) == len(groups.cells)
    is_named = is_named and not any(map(value_type, below.cells))
    if len(set(below.cells)) == len(groups.cells):
        return is_named
    # Names that repeat below each group: only the rows further down show that they are names.
    data = [record.cells for record in sample if record.line > below.line][:HEADER_SAMPLE_ROWS]
    values = sum(bool(value_type(cell)) for cells in data for cell in cells)
    return is_named and values > sum(map(len, data)) / 2


def _with_sheet_name(rows: Iterator[Any], name: str) -> Iterator[Any]:
    for row in rows:
        yield [*row, name] if isinstance(row, list) else row


def _iter_records(rows: list[Cells]) -> Iterator[Record]:
    for number, row in enumerate(rows, 1):
        cells = [_to_cell(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        yield Record(number, cells)


def _to_cell(value: Any) -> str:
    """A cell as text: whole numbers without a point, dates as ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return str(value).replace("\0", "")


def _report_unsaved_formulas(
    path: Path, sheet: str, source: TableSource, rows: list[Cells]
) -> None:
    """Report columns whose formulas have no saved result: programs that write formulas without
    computing them leave cells empty until Excel opens the file."""
    head = rows[: FORMULA_ROWS + 1]
    empty = [
        position
        for position, name in enumerate(source.names)
        if name
        and len(head) > 1
        and not any(_is_filled(row[position]) for row in head[1:] if len(row) > position)
    ]
    if not empty or not zipfile.is_zipfile(path):
        return
    try:
        with open(path, "rb") as file:
            book = openpyxl.load_workbook(file, read_only=True)
            cells = list(book[sheet].iter_rows(max_row=FORMULA_ROWS, values_only=True))
    except Exception:  # Only .xlsx, and openpyxl raises anything on what it does not know.
        return
    for position in empty:
        if any(str(row[position]).startswith("=") for row in cells if len(row) > position):
            source.issues.add(
                "unsaved_formulas",
                "This column holds formulas whose results were not saved. Open the workbook in"
                " Excel, save it and upload it again.",
                column=source.names[position],
            )


def _report_error_cells(path: Path, issues: Issues) -> None:
    """Report cells with an error such as #DIV/0!, which calamine reads as empty."""
    count = 0
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                    count += archive.read(name).count(b' t="e"')
    if count:
        issues.add(
            "error_cells",
            "1 cell of this workbook holds an error such as #N/A or #DIV/0!; it was read as"
            " missing."
            if count == 1
            else f"{count:,} cells of this workbook hold errors such as #N/A or #DIV/0!; they were"
            " read as missing.",
        )


def _report_shortened(rows: Iterator[Cells], issues: Issues) -> None:
    """Report numbers that lost their last digits: Excel stores 15 digits of a number, libraries 16,
    and writes zeros for the others."""
    whole = [
        int(Decimal(repr(cell)))
        for row in rows
        for cell in row
        if isinstance(cell, float) and EXACT_NUMBERS <= abs(cell) < math.inf and cell.is_integer()
    ]
    if len(whole) > 2 and all(number % 10 == 0 for number in whole):
        issues.add(
            "shortened_numbers",
            f"{len(whole):,} numbers of 16 digits or more end in 0, as Excel keeps only 15. If"
            " they are ids or card numbers, their last digits were lost before the upload: format"
            " their column as text before they are entered.",
        )


def _reject_zip_bomb(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return  # .xls is no archive; calamine tells whether it is a workbook.
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise UnreadableFile("workbook_too_large", WORKBOOK_TOO_LARGE)
