"""Detects how a delimited file is written: separator, quotes, header, what precedes it.

Separator and quotes are chosen by the consistency measure of CleverCSV: how regular the rows are
times how many cells read as whole values (G. J. J. van den Burg, A. Nazábal and C. Sutton,
"Wrangling messy CSV files by detecting row and type patterns", Data Mining and Knowledge Discovery
33, 2019). Finding the header and the lines above it is our own. Every guess is shown to the
customer and can be overruled by `overrides`.
"""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from statistics import mean

from projects.reading.csv.header_rows import (
    DATE,
    NUMBER,
    URL_OR_EMAIL,
    HeaderVerdict,
    judge_header,
    value_type,
)
from projects.reading.csv.records import Delimiters, Record, split_records
from projects.reading.results import ReadingOptions

DELIMITERS = [",", "\t", ";", "|"]
RARE_DELIMITERS = ["^", "~", "\x01", "\x1f", "，", "；", "؛", "،", "§"]  # Hive writes \x01.
MAX_PREAMBLE = 20  # Lines that are about the table, above it.
MIN_MULTI_COLUMN_SCORE = 0.55  # What a table of several columns must beat.
COMMENT = re.compile(r"\s*#(\s|#|!)")
MAX_BLANK_SEPARATED = 200
MIN_ROWS_BELOW_OPTIONS = 5
BETWEEN_BLANKS = re.compile(r'(?:"(?:[^"]|"")*"|[^\s",;|]+)(?: (?:"(?:[^"]|"")*"|[^\s",;|]+))+')
FOREIGN_SHARE = 0.6  # Of the score of a delimiter that the first line lacks.


@dataclass(frozen=True)
class CsvDialect:
    """A dialect with the place of its header. Lines count from 1 in the file."""

    delimiters: Delimiters
    width: int = 1
    preamble: list[Record] = field(default_factory=list)
    header: list[Record] = field(default_factory=list)
    header_reason: str = ""
    names_rows: bool = False  # The first column names the rows and has no name of its own, as in R.
    doubtful_header: list[str] = field(default_factory=list)  # A first row that may be either.
    missing_word: str = ""  # A whole cell of it is missing.
    has_text_formulas: bool = False  # Codes are written as ="007", as Excel keeps them.
    fill_short_rows: bool = False
    trim_long_rows: bool = False  # Extra empty cells at the end are this file's habit.


def detect_dialect(sample: list[str], overrides: ReadingOptions) -> CsvDialect:
    """The dialect that fits the first lines best; the customer's choices take precedence."""
    delimiters = _choose_delimiters(sample, overrides)
    records = list(split_records(iter(sample), delimiters))
    return locate_header(records, delimiters, overrides)


def locate_header(
    records: list[Record], delimiters: Delimiters, overrides: ReadingOptions
) -> CsvDialect:
    """The dialect with the place of the header in these first records. Also used for spreadsheets,
    where `delimiters` mean nothing."""
    written = [record for record in records if any(cell.strip() for cell in record.cells)]
    if not written:
        return CsvDialect(delimiters)
    skip = _count_preamble_records(records, overrides)
    body = [record for record in records[skip:] if any(cell.strip() for cell in record.cells)]
    preamble = [record for record in records[:skip] if any(cell.strip() for cell in record.cells)]
    header_rows, verdict = _count_header_rows(body, overrides)
    table = body[header_rows:] or body
    width = _modal_width(table)
    names_rows = header_rows == 1 and _lacks_name_of_rows(body[0], table, width)
    if header_rows == 1 and len(body) > 2 and _describes_columns(body[2]):
        preamble = [*preamble, body[1]]  # Qualtrics writes questions and ids below the names.
        body = [replace(body[2], cells=body[0].cells), *body[3:]]
    if names_rows:
        body[0] = replace(body[0], cells=["", *body[0].cells])
    if header_rows:
        width = max(width, len(_strip_empty_tail(body[header_rows - 1].cells)))
        if len(body[header_rows - 1].cells) > width and _has_wide_rows(body, header_rows, width):
            width = len(body[header_rows - 1].cells)
    return CsvDialect(
        delimiters=delimiters,
        width=width,
        preamble=preamble,
        header=body[:header_rows],
        header_reason=verdict.reason,
        names_rows=names_rows,
        doubtful_header=body[0].cells if verdict.is_doubtful else [],
        fill_short_rows=_should_fill_short_rows(table, width, overrides),
        trim_long_rows=_is_recurring(
            [len(record.cells) > width for record in table if record.cells]
        ),
    )


def _choose_delimiters(sample: list[str], overrides: ReadingOptions) -> Delimiters:
    first_line = next((line for line in sample if line.strip()), "")
    # Some of these are common in Chinese prose: they count only where they separate names, too.
    characters = [
        *DELIMITERS,
        *(delimiter for delimiter in RARE_DELIMITERS if delimiter in first_line),
    ]
    if _are_cells_between_blanks(sample):
        characters.append(" ")
    if overrides.get("delimiter"):
        characters = [overrides["delimiter"]]
    candidates = []
    for delimiter in characters:
        delimiters = Delimiters(delimiter, *_detect_quoting(sample, delimiter))
        if "quote" in overrides:
            delimiters = replace(delimiters, quote=overrides["quote"])
        if overrides.get("escape"):
            delimiters = replace(delimiters, escape=overrides["escape"])
        candidates.append(delimiters)
        if "quote" not in overrides and _are_quotes_literal(sample, delimiters):
            candidates.append(replace(delimiters, quote=""))
    split_header = any(candidate.delimiter in first_line for candidate in candidates)

    def score(delimiters: Delimiters) -> float:
        """A delimiter that is not in the first line, though another one is, scores less: it may be
        part of cells, as the bar in labels like `cards|lost`."""
        is_foreign = split_header and delimiters.delimiter not in first_line
        consistency = _consistency_score(sample, delimiters)
        return consistency * FOREIGN_SHARE if is_foreign else consistency

    return max(candidates, key=score)


def _are_cells_between_blanks(sample: list[str]) -> bool:
    """Whether blanks separate cells, and cells with blanks are quoted, as R writes tables. Lines
    without any quotes may be prose, so most lines must have some."""
    lines = [line.rstrip("\r\n") for line in sample if line.strip()][:MAX_BLANK_SEPARATED]
    whole = sum(BETWEEN_BLANKS.fullmatch(line) is not None for line in lines)
    return whole == len(lines) > 1 and sum('"' in line for line in lines) > len(lines) / 2


def _are_quotes_literal(sample: list[str], delimiters: Delimiters) -> bool:
    """Every line is a whole row by itself, yet quotes would glue some lines together."""
    written = [line.rstrip("\r\n").split(delimiters.delimiter) for line in sample if line.strip()]
    width = len(written[0])
    if width < 2 or any(len(cells) != width for cells in written):
        return False
    return sum(1 for record in split_records(iter(sample), delimiters) if record.cells) < len(
        written
    )


def _detect_quoting(sample: list[str], delimiter: str) -> tuple[str, str]:
    """The quote that most often encloses cells, and how one inside a cell is written."""
    text = "".join(sample)
    mark = re.escape(delimiter)

    def enclosed(quote: str) -> int:
        cell = rf"{quote}[^{quote}\r\n]*{quote}"
        return len(re.findall(rf"(?:^|{mark}){cell}(?={mark}|[\r\n]|$)", text, re.M))

    single, double = enclosed("'"), enclosed('"')
    quote = "'" if single > 2 * double else '"'
    if _escapes_separators(sample, delimiter):
        return quote, "backslash"
    escaped = len(re.findall(rf"\\{quote}(?!{mark}|[\r\n])", text))
    doubled = len(re.findall(rf"[^{mark}\r\n{quote}]{quote}{quote}(?!{quote})", text))
    return quote, "backslash" if escaped > doubled else "doubled"


def _escapes_separators(sample: list[str], delimiter: str) -> bool:
    """Whether a backslash before a separator makes it part of the cell, as MySQL writes it: then
    lines with such separators are as wide as the first one."""
    lines = [line for line in sample if line.strip() and '"' not in line]
    escaped = [line for line in lines if f"\\{delimiter}" in line]
    if not escaped or len(escaped) == len(lines) == 1:
        return False
    width = lines[0].count(delimiter) - lines[0].count(f"\\{delimiter}")
    return width > 0 and all(
        line.count(delimiter) - line.count(f"\\{delimiter}") == width for line in escaped
    )


def _consistency_score(sample: list[str], delimiters: Delimiters) -> float:
    """CleverCSV's measure: the share of rows of the usual width, times the mean type score.

    Its pattern score is replaced by the share of regular rows and a small bonus for more columns.
    """
    records = [record for record in split_records(iter(sample), delimiters) if record.cells]
    widths = [len(record.cells) for record in records]
    if not widths:
        return 0.0
    width, _ = Counter(widths).most_common(1)[0]
    if width == 1:
        return MIN_MULTI_COLUMN_SCORE
    regular = sum(row_width == width for row_width in widths) / len(widths)
    cells = itertools.islice((cell for record in records for cell in record.cells), 4_000)
    whole = mean(_type_score(cell, delimiters) for cell in cells)
    return regular * whole * (1 + 0.02 * min(width, 10))


def _type_score(cell: str, delimiters: Delimiters) -> float:
    """CleverCSV's type score: 1 for a whole value, less for one that another separator splits."""
    text = cell.strip()
    if not text or NUMBER.fullmatch(text) or DATE.fullmatch(text) or URL_OR_EMAIL.fullmatch(text):
        return 1.0
    if delimiters.quote and text.count(delimiters.quote) % 2:
        return 0.5
    others = [
        delimiter
        for delimiter in DELIMITERS[1:]
        if delimiter != delimiters.delimiter and delimiter in text
    ]
    return 0.5 if others else 1.0


def _count_preamble_records(records: list[Record], overrides: ReadingOptions) -> int:
    """How many records stand before the header: title lines with hardly a cell filled."""
    if overrides.get("skip_lines") is not None:
        skip_lines = int(overrides["skip_lines"])
        return sum(record.line <= skip_lines for record in records)
    if comments := _count_comments(records):
        return comments
    width = _modal_width(records)
    if width == 1:
        return next(
            (index for index, record in enumerate(records) if _count_filled_cells(record)), 0
        )
    for index, record in enumerate(records[:-1]):
        if not _is_title(record, records[index + 1 :], width):
            return index
    return 0


def _count_comments(records: list[Record]) -> int:
    """How many records above the header begin with "# ". Where the last of them holds the names of
    the columns, as numpy writes them, it is the header and not counted."""
    places = itertools.takewhile(
        lambda one: not one.cells or COMMENT.match(one.cells[0]) or one.cells == ["#"], records
    )
    count = sum(1 for _ in places)
    while count and not records[count - 1].cells:
        count -= 1
    below = [record.cells for record in records[count:] if any(record.cells)]
    if not count or not below:
        return 0
    verdict = judge_header(below[0], below[1:])
    names = records[count - 1].cells
    is_name = not verdict.is_header and len(names) == len(below[0])
    return count - is_name


def _describes_columns(record: Record) -> bool:
    """Whether a row holds Qualtrics' description of each column, such as {"ImportId":"QID1"}."""
    return bool(record.cells) and all(cell.startswith('{"ImportId"') for cell in record.cells)


def _is_title(record: Record, below: list[Record], width: int) -> bool:
    filled = _count_filled_cells(record)
    if filled == 0 or (filled * 2 <= width and _precedes_header(below, width)):
        return True
    if len(record.cells) > width and _precedes_header(below, width):
        return True  # What a program says of its export, as DATEV does.
    if filled >= 2 and (len(record.cells) == width or filled * 2 > width):
        return False
    usual = mean(_count_filled_cells(following) for following in below[:20])
    return filled < min(2, width) and usual >= 1.5 or (len(record.cells) < width / 2)


def _precedes_header(below: list[Record], width: int) -> bool:
    """Whether a row of names for all columns follows, with values below it. Then a shorter row
    above is about the whole table, such as an account number."""
    for place, record in enumerate(below[:MAX_PREAMBLE]):
        if _count_filled_cells(record) < width:
            continue
        if any(map(value_type, map(str.strip, record.cells))):
            return False
        rows = [row.cells for row in below[place + 1 :] if len(row.cells) == width]
        columns = list(zip(*rows[:MAX_PREAMBLE], strict=True))
        return any(all(value_type(cell.strip()) for cell in cells) for cells in columns)
    return False


def _count_header_rows(body: list[Record], overrides: ReadingOptions) -> tuple[int, HeaderVerdict]:
    if overrides.get("header_rows") is not None:
        rows = min(int(overrides["header_rows"]), len(body))
        return rows, HeaderVerdict(rows > 0, "chosen by hand")
    if not body:
        return 0, HeaderVerdict(False, "")
    verdict = judge_header(body[0].cells, [record.cells for record in body[1:]])
    may_be_years = all(cell.strip().isdigit() for cell in body[0].cells[1:] if cell.strip())
    if (verdict.is_header or may_be_years) and _names_options_below(body):
        return 2, HeaderVerdict(True, "the second line names the options of the questions above it")
    if verdict.is_header and (rows := _count_levels(body)):
        return rows, HeaderVerdict(True, "the first lines name the columns in several levels")
    return int(verdict.is_header), verdict


def _names_options_below(body: list[Record]) -> bool:
    """Whether the second line names the columns that the first leaves empty, as SurveyMonkey writes
    questions with several answers: each empty name has words below it, and the first column, which
    numbers the rows, has none."""
    if len(body) < MIN_ROWS_BELOW_OPTIONS:
        return False
    names, options = ([cell.strip() for cell in record.cells] for record in body[:2])
    below = [record.cells for record in body[2:] if len(record.cells) == len(options)]
    gaps = [place for place, name in enumerate(names) if not name]
    if len(names) != len(options) or not gaps or gaps[0] == 0 or options[0] or not below:
        return False
    is_named = all(options[place] and not value_type(options[place]) for place in gaps)
    return is_named and all(cells[0].strip() for cells in below) and bool(names[0])


def _count_levels(body: list[Record]) -> int:
    """How many header lines a table of pandas with two levels of column names has; 0 for any other.

    Both lines leave their first cell empty, and names of the upper one repeat. A third line may
    name the index."""
    if len(body) < MIN_ROWS_BELOW_OPTIONS:
        return 0
    upper, lower, last = ([cell.strip() for cell in record.cells] for record in body[:3])
    has_corner = bool(upper and lower) and not upper[0] and not lower[0] and all(lower[1:])
    if not has_corner or len(set(upper[1:])) == len(upper[1:]) or any(map(value_type, lower)):
        return 0
    names_rows = bool(last) and bool(last[0]) and not any(last[1:])
    below = [record.cells for record in body[2 + names_rows :] if len(record.cells) == len(lower)]
    columns = list(zip(*below, strict=True))[1:]
    has_values = any(all(value_type(cell.strip()) for cell in cells) for cells in columns)
    return 2 + names_rows if has_values else 0


def _modal_width(records: list[Record]) -> int:
    widths = Counter(len(record.cells) for record in records if _count_filled_cells(record))
    return widths.most_common(1)[0][0] if widths else 1


def _has_wide_rows(body: list[Record], header_rows: int, width: int) -> bool:
    """Whether most rows are also wider than `width`, by the header's empty last columns."""
    table = body[header_rows:]
    return not table or mean(len(record.cells) > width for record in table) > 0.5


def _lacks_name_of_rows(header: Record, table: list[Record], width: int) -> bool:
    """Whether the header has one name less than the rows have values, and each row's first value is
    its own name. Rows that end with a separator are as long, but their last value is empty."""
    if len(header.cells) != width - 1 or width < 3 - (len(table) > 1):
        return False
    rows = [record.cells for record in table if len(record.cells) == width]
    first = [cells[0].strip() for cells in rows]
    return len(set(first)) == len(first) and any(cells[-1].strip() for cells in rows)


def _should_fill_short_rows(table: list[Record], width: int, overrides: ReadingOptions) -> bool:
    """Short rows are filled where short rows occur throughout the file."""
    if overrides.get("short_rows"):
        return bool(overrides["short_rows"] == "fill")
    short = [record for record in table if len(record.cells) < width and any(record.cells)]
    if sum(_has_other_separator(record, width) for record in short) > len(short) / 2:
        return False  # Those rows are whole, and separated otherwise: two files were joined.
    return _is_recurring(
        [len(record.cells) < width for record in table if _count_filled_cells(record)]
    )


def _has_other_separator(record: Record, width: int) -> bool:
    """Whether the row would be whole if another mark separated its cells."""
    text = record.cells[0]
    return len(record.cells) == 1 and any(text.count(mark) == width - 1 for mark in DELIMITERS)


def _is_recurring(odd: list[bool]) -> bool:
    """Whether odd rows occur throughout a file, and not only as one block at its end, which would
    be a second table."""
    count = sum(odd)
    return len(odd) >= 10 and count > 0.1 * len(odd) and not all(odd[len(odd) - count :])


def _count_filled_cells(record: Record) -> int:
    return sum(bool(cell.strip()) for cell in record.cells)


def _strip_empty_tail(cells: list[str]) -> list[str]:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]
