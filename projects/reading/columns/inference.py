"""Infers the type of each column of text from all its cells and from the rest of the file.

Every column is summarized by the shapes of its cells (digits become 9). A column gets a type only
when the type explains every cell; text that says more than its number (007, 3.10 beside 3.1) stays
text. Where two readings are plausible and mean different things, the column stays text and a person
is asked which is right; the answer comes back in `overrides["columns"]`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

import duckdb

from projects.reading.columns import date_formats, number_formats
from projects.reading.columns.column import (
    COLUMNS,
    LIST,
    SQL_TYPES,
    TEXT,
    Column,
    Question,
    Reading,
    native_column,
    parse_reading,
)
from projects.reading.columns.number_formats import PLAIN, CellShape, NumberFormat
from projects.reading.columns.precision import MAX_DIGITS, keeps_digits_sql
from projects.reading.columns.questions.dates import (
    KEEP_TEXT,
    THAI,
    Decision,
    ask_about_compact_dates,
    ask_about_counted_dates,
    ask_about_serial_dates,
    ask_about_stray_dates,
    decide_date,
    may_be_counted_dates,
)
from projects.reading.columns.questions.labels import ask_about_objects
from projects.reading.columns.questions.numbers import (
    ask_about_brackets,
    ask_about_codes,
    ask_about_comma_pairs,
    ask_about_durations,
    ask_about_fractions,
    ask_about_limits,
    ask_about_long_numbers,
    ask_about_markers,
    ask_about_scales,
    ask_about_sides,
    ask_about_unit_behind,
    ask_about_units,
    ask_about_words_behind,
    ask_about_zeros,
    marks_of,
    number_reading,
    scale_words,
)
from projects.reading.columns.questions.written import ASKED_ABOUT_WRITTEN_NUMBERS
from projects.reading.columns.shapes import (
    ColumnCells,
    ColumnShapes,
    FileContext,
    ShortTable,
    summarize_columns,
)
from projects.reading.columns.sql import FOREIGN_DIGITS, foreign_digits_sql, trimmed

SHORTENED = re.compile(r"9[.,]9{1,6}E[+]99")
STRING = "string"  # What files with types of their own call a text that people typed.
ASKED_OF_TEXTS = (
    "date_order", "long_numbers", "buddhist_years", "other_calendar", "short_dates",
    "short_numbers", "debits", "durations", "fractions", "limits",
    "powers", "errors", "ordinals", "impossible_days",
)  # fmt: skip
MOSTLY_NUMBERS = 0.9  # Of the cells: then the others are worth a question.
MIN_NUMBERS, MAX_STRAY_WORDS, MIN_CELLS = 0.5, 3, 20  # Or so many, beside a few words.


def infer_columns(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    names: list[tuple[str, str]],
    *,
    native_types: Mapping[int, str],
    chosen: Mapping[str, str],
    separator: str = "",
    keep: Callable[[], None] | None = None,
    expects: bool = False,
) -> list[Column]:
    """The columns c0, c1, … of the text table, with their types.

    `names`: the final and the original name of each. `native_types`: types that the file itself
    states, by position. `chosen`: readings that people chose, by name. `keep` is called before many
    single columns are read, to store the table by column. With `expects`, a sample may decide a
    column: its `check` is then SQL that the caller has to test on every row."""
    untyped = [
        f"c{place}" for place in range(len(names)) if native_types.get(place, STRING) == STRING
    ]
    summaries = summarize_columns(connection, table, untyped, keep, expects=expects)
    is_thai = any(THAI.search(original) for _, original in names) or any(
        THAI.search(shape.pattern) for summary in summaries.values() for shape in summary.shapes
    )
    context = FileContext(separator, _certain_marks(summaries.values()), is_thai)
    short_table = ShortTable.of(connection, table, untyped)
    columns = []
    for position, (name, original) in enumerate(names):
        source = f"c{position}"
        choice = chosen.get(name) or chosen.get(original)
        if choice in (LIST.name, COLUMNS.name):  # Not a reading of its cells as they are.
            choice = None
        native_type = native_types.get(position)
        is_native = choice is None and native_type not in (None, STRING)
        if is_native and not may_be_counted_dates(name, native_types[position]):
            columns.append(native_column(source, native_types[position], name, original))
            continue
        short = short_table if source in summaries else None
        summary = summaries.get(source) or summarize_columns(connection, table, [source])[source]
        cells = ColumnCells(connection, table, source, name, summary, context, short)
        columns.append(_read_column(cells, choice, native_type, original))
    return ask_about_objects(connection, table, columns)


def _read_column(
    cells: ColumnCells, choice: str | None, native_type: str | None, original: str
) -> Column:
    if choice is not None:
        return _chosen_column(cells, choice, original)
    if native_type is None:
        return _decided_column(cells, original)
    if native_type == STRING:
        return _string_column(cells, original)
    number = Reading(f"number:{PLAIN.name}", "number")
    column = native_column(cells.source, native_type, cells.name, original)
    return replace(column, question=ask_about_counted_dates(cells, number))


def _chosen_column(cells: ColumnCells, choice: str, original: str) -> Column:
    """A column as a person chose to read it. Cells that do not fit become missing only where the
    choice says so ("+missing"); else the column stays text, and a note says why."""
    reading = parse_reading(choice) or TEXT
    if reading != TEXT:
        cells = _with_ascii_digits(cells)
    count, notes = cells.count(lambda cell: f"({reading.to_sql(cell)}) IS NULL"), []
    if count and choice.endswith("+missing"):
        notes.append(f"Cells that do not fit the chosen reading and are missing now: {count:,}.")
    elif count:
        notes.append(f"Cells that do not fit the chosen reading: {count:,}. The column stays text.")
        reading = TEXT
    elif reading.type == "number":
        reading, notes = _settle_number(cells, reading)
    return Column(
        cells.name, reading.type, original, reading.to_sql(cells.source), reading=reading.name,
        notes=notes, is_chosen=True,
    )  # fmt: skip


def _settle_number(cells: ColumnCells, reading: Reading) -> tuple[Reading, list[str]]:
    """The reading as integers where every cell is whole, and a note on digits that were rounded
    because a person chose to."""
    is_short = not any(shape.digits > MAX_DIGITS for shape in cells.summary.shapes)
    is_short = is_short and not cells.summary.other_count
    if is_short and not cells.count(lambda cell: f"{reading.to_sql(cell)} % 1 <> 0"):
        return replace(reading, type="integer"), []
    rounded = 0
    if not is_short:
        rounded = cells.count(
            lambda cell: f"NOT ({keeps_digits_sql(trimmed(cell), reading.to_sql(cell))})"
        )
    return reading, [f"Numbers rounded to about 16 digits: {rounded:,}."] if rounded else []


def _string_column(cells: ColumnCells, original: str) -> Column:
    """A column whose cells the file stores as texts. Texts that are dates become dates; texts that
    are numbers stay text with a question, as a text of digits may be a code."""
    column = _decided_column(cells, original)
    if column.type in ("date", "datetime"):
        return column
    question = column.question
    if column.type == "number":
        sentence = (
            f"All cells of {cells.name!r} are texts, and all are numbers. Read the numbers, or keep"
            " the texts?"
        )
        reading = parse_reading(column.reading)
        question = Question("stored_as_text", sentence, [TEXT, *([reading] if reading else [])])
    elif question is not None and question.code not in ASKED_OF_TEXTS:
        question = None
    return replace(native_column(cells.source, "text", cells.name, original), question=question)


def _with_ascii_digits(cells: ColumnCells) -> ColumnCells:
    """The cells with digits such as ٣ and ３ as 3, where all of them hold such digits."""
    shapes = cells.summary.shapes
    if not shapes or cells.summary.other_count or cells.summary.markers:
        return cells
    if not all(FOREIGN_DIGITS.search(shape.example) for shape in shapes):
        return cells
    source = foreign_digits_sql(cells.source)
    table = f"(SELECT {source} AS {cells.source} FROM {cells.table})"
    summary = summarize_columns(cells.connection, table, [cells.source])[cells.source]
    return replace(cells, source=source, summary=summary, short_table=None)


def _decided_column(cells: ColumnCells, original: str) -> Column:
    as_written, cells = cells, _with_ascii_digits(cells)
    reading, question, notes = _decide(cells)
    is_numeric = reading.type in ("integer", "number")
    source = as_written.source if reading == TEXT else cells.source
    to_sql, check = reading.to_sql, cells.summary.check
    if check and reading != TEXT:
        # A cell that passes the check can be cast as it is. The cast fails for a day such as 30/2.
        to_sql = partial(_plain_cast, SQL_TYPES[reading.type])
    return Column(
        name=cells.name,
        type=reading.type,
        original_name=original,
        expression=to_sql(source),
        cell_expression=to_sql("cell") if source == as_written.source else "",
        missing_markers=tuple(cells.summary.markers) if is_numeric else (),
        missing_marker_count=cells.summary.marker_count if is_numeric else 0,
        reading=reading.name,
        question=question,
        notes=notes,
        check=check,
        source=cells.source,
    )


def _plain_cast(sql_type: str, cell: str) -> str:
    return f"CAST(nullif({cell}, '') AS {sql_type})"


def _certain_marks(columns: Iterable[ColumnShapes]) -> frozenset[tuple[str, str]]:
    """The roles of marks, such as ("decimal", ","), in the columns that have only one reading."""
    marks: set[tuple[str, str]] = set()
    for summary in columns:
        formats = [] if summary.other_count else number_formats.fitting_formats(summary.shapes)
        meanings = {marks_of(number_format, summary.shapes) for number_format in formats}
        if len(meanings) == 1:
            marks |= meanings.pop()
    return frozenset(marks)


def _decide(cells: ColumnCells) -> Decision:
    shapes = cells.summary.shapes
    if not shapes or not any(shape.digits for shape in shapes):
        return KEEP_TEXT
    if not cells.summary.other_count:
        dates = date_formats.fitting_dates([shape.pattern for shape in shapes])
        if dates:
            return decide_date(cells, dates)
        has_fractions = any("." in shape.pattern or "," in shape.pattern for shape in shapes)
        # 2E5 beside whole numbers is a code; beside 1.5 it is a number.
        if any(shape.is_code and not (has_fractions and shape.has_exponent) for shape in shapes):
            return KEEP_TEXT
        formats = number_formats.fitting_formats(shapes)
        if formats:
            return _decide_number(cells, formats)
        for ask in (
            ask_about_scales, ask_about_words_behind, ask_about_sides, ask_about_durations,
            ask_about_unit_behind, ask_about_fractions, ask_about_limits,
            *ASKED_ABOUT_WRITTEN_NUMBERS,
        ):  # fmt: skip
            if question := ask(cells):
                return TEXT, question, []
    return _ask_about_strays(cells)


def _decide_number(cells: ColumnCells, formats: list[NumberFormat]) -> Decision:
    shapes = cells.summary.shapes
    by_meaning: dict[frozenset[tuple[str, str]], NumberFormat] = {}
    for number_format in formats:
        by_meaning.setdefault(marks_of(number_format, shapes), number_format)
    meanings = list(by_meaning)
    meaning = meanings[0] if len(meanings) == 1 else _weigh(cells, meanings)
    if meaning is None:
        readings = [number_reading(number_format, shapes) for number_format in by_meaning.values()]
        sentence = (
            f"Is the mark in {cells.name!r} a decimal mark, or does it group thousands? Cells such"
            f" as {_marked_example(shapes)!r} can be read both ways."
        )
        return TEXT, Question("number_format", sentence, [*readings, TEXT]), []
    number_format = by_meaning[meaning]
    reading = number_reading(number_format, shapes)
    doubt = (
        ask_about_units(cells, reading)
        or ask_about_brackets(cells, reading)
        or ask_about_codes(cells, reading)
        or ask_about_comma_pairs(cells, reading, meaning)
        or ask_about_long_numbers(cells, reading)
        or ask_about_zeros(cells, reading)
        or ask_about_markers(cells, reading)
    )
    if doubt is not None:
        return TEXT, doubt, []
    dates = ask_about_compact_dates(cells, reading) or ask_about_counted_dates(cells, reading)
    return reading, dates, _describe(reading, cells)


def _weigh(
    cells: ColumnCells, meanings: list[frozenset[tuple[str, str]]]
) -> frozenset[tuple[str, str]] | None:
    """The more likely of two meanings of a mark, a decimal mark or a grouping mark, by the column
    and the rest of the file; None when neither is more likely."""
    grouped = next((marks for marks in meanings if all(role == "group" for role, _ in marks)), None)
    decimal = next((marks for marks in meanings if marks != grouped), None)
    if grouped is None or decimal is None or len(meanings) > 2:
        return None
    (_, mark), *_ = grouped
    known_marks, separator = cells.context.marks, cells.context.separator
    other_mark = "." if mark == "," else ","
    for_group = (("group", mark) in known_marks) + (("decimal", other_mark) in known_marks)
    for_decimal = (("decimal", mark) in known_marks) + (("group", other_mark) in known_marks)
    if for_group or for_decimal:
        return None if for_group and for_decimal else (grouped if for_group else decimal)
    bare = [shape for shape in cells.summary.shapes if mark not in shape.pattern]
    has_long_bare = any(shape.digits > 3 for shape in bare)
    if mark == ",":
        # Where commas separate cells, decimals seldom have one; where semicolons do, they often do.
        is_plainly_grouped = bool(bare) and separator != ";"
        return grouped if (separator == "," or is_plainly_grouped) and not has_long_bare else None
    # Programs write decimals with a point; a file of semicolons may come from elsewhere.
    if has_long_bare:
        return decimal
    return None if separator == ";" or _may_be_rounded(cells, bool(bare)) else decimal


def _may_be_rounded(cells: ColumnCells, has_bare: bool) -> bool:
    """Whether 1.250 may stand for 1250.

    Programs write all decimals of a column, or leave out zeros at the end: where some cells end in
    zero and others have no mark, the mark may group thousands. In a file separated by commas the
    point is a decimal mark unless cells such as 950 stand beside it."""
    dotted = [shape for shape in cells.summary.shapes if "." in shape.pattern]
    rounded = sum(shape.count for shape in dotted if shape.ends_with_zero)
    if has_bare or not rounded:
        return rounded > 0
    return cells.context.separator != "," and rounded >= sum(shape.count for shape in dotted) / 2


def _ask_about_strays(cells: ColumnCells) -> Decision:
    """A column of numbers in which a few cells are something else stays text, and says so."""
    summary = cells.summary
    if question := ask_about_serial_dates(cells, None) or ask_about_stray_dates(cells):
        return TEXT, question, []
    scored = []
    candidates: tuple[NumberFormat, ...] = number_formats.FORMATS
    if len(scale_words(summary.shapes)) > 1:  # 5M beside XL is a size.
        candidates = (*candidates, *number_formats.SCALED)
    for candidate in candidates:
        shapes = [shape for shape in summary.shapes if candidate.match(shape) and not shape.is_code]
        scored.append((sum(shape.count for shape in shapes), candidate, shapes))
    count, number_format, shapes = max(scored, key=lambda entry: entry[0])
    others = summary.filled - count
    words = [shape for shape in summary.shapes if shape not in shapes]
    # Many cells of few words, such as "—" and "k.A.", are a way to say that a number is missing.
    are_few_words = len(words) <= MAX_STRAY_WORDS and not any(word.digits for word in words)
    are_few_words = are_few_words and summary.filled >= MIN_CELLS
    least = MOSTLY_NUMBERS if summary.other_count or not are_few_words else MIN_NUMBERS
    if not shapes or not others or count < least * summary.filled:
        return KEEP_TEXT
    reading = number_reading(number_format, shapes)
    missing = Reading(f"{reading.name}+missing", "number", number_format)
    example = next((word.example for word in words), "a long text")
    sentence = (
        f"All cells of {cells.name!r} but one are numbers; that one is {example!r}. Keep the column"
        " as text, or read that cell as missing?"
        if others == 1
        else f"{count:,} of {summary.filled:,} cells of {cells.name!r} are numbers; {others:,} are"
        f" not, such as {example!r}. Keep the column as text, or read those cells as missing?"
    )
    return TEXT, Question("stray_cells", sentence, [TEXT, missing]), []


def _marked_example(shapes: list[CellShape]) -> str:
    return next((shape.example for shape in shapes if not shape.pattern.isdigit()), "")


def _describe(reading: Reading, cells: ColumnCells) -> list[str]:
    """Notes on what was decided and cannot be seen in the column itself."""
    notes = []
    if reading.number_format != PLAIN and marks_of(reading.number_format, cells.summary.shapes):
        example = _marked_example(cells.summary.shapes)
        notes.append(f"Numbers are read as in {reading.number_format.name}, such as {example!r}.")
    if all(SHORTENED.fullmatch(shape.pattern) for shape in cells.summary.shapes):
        notes.append(
            f"Cells such as {cells.summary.shapes[0].example!r} are how spreadsheets show numbers"
            " of more than 11 digits. If they are ids, their last digits are lost: format the"
            " column as text before it is saved as CSV."
        )
    if any(map(reading.number_format.is_in_brackets, cells.summary.shapes)):
        notes.append("Numbers in brackets were read as losses, with a minus.")
    units = sorted({shape.unit for shape in cells.summary.shapes} - {""})
    if units:
        notes.append(f"{units[0]} beside the numbers was left out.")
    return notes
