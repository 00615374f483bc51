"""Decides how a column of dates is read: the order of day and month, how years are counted, and
cells among the dates that are not dates."""

import re
from dataclasses import replace

from projects.reading.columns import date_formats
from projects.reading.columns.column import TEXT, Question, Reading
from projects.reading.columns.date_formats import (
    BUDDHIST_YEARS,
    COMPACT,
    ISO,
    AnyDate,
    DateFormat,
    WrittenDate,
)
from projects.reading.columns.shapes import ColumnCells
from projects.reading.columns.sql import trimmed

Decision = tuple[Reading, Question | None, list[str]]
KEEP_TEXT: Decision = (TEXT, None, [])
THAI = re.compile("[\u0e00-\u0e7f]|\\bB[.]?E[.]?\\b|[Bb]uddhist")
OTHER_YEARS = (
    1300,
    1499,
)  # Those of 1921 to 2120 in Iran, and of 1883 to 2076 in Islam's calendar.
MOSTLY = 0.5  # Of the cells have Buddhist years: then it is how the column counts them.
SERIAL_SHAPE = re.compile("99999([.]9+)?")
DATE_NAME = re.compile(
    r"(?<!up)date(s|time)?$|(^|[^a-z])(date|datum|day|tag|fecha|data|dia|jour|dato|dob|birthday"
    r"|created|updated|due|time|timestamp)($|[^a-z])|дата|日期|时间|日付|날짜|วันที่"
)
TIME_NAME = re.compile(
    DATE_NAME.pattern + r"|(^|[^a-z])(at|ts|on|epoch|utc|published|modified|start|end|last)"
    r"($|[^a-z])|(?<!life)(?<!over)(?<!response)time$|unixtime|timestamp"
)
MONTH_NAME = re.compile(
    r"(^|[^a-z])(month|period|yearmonth|ym|yyyymm|date|monat|mois|mes|periode)($|[^a-z])|月|期"
)
# Shapes of counted times, what their columns are called, and how they are read.
COUNTED = (
    (re.compile("9{10}([.]9+)?"), TIME_NAME, date_formats.EPOCHS[0], "datetime"),
    (re.compile("9{13}"), TIME_NAME, date_formats.EPOCHS[1], "datetime"),
    (re.compile("9{6}"), MONTH_NAME, date_formats.MONTH, "date"),
)
MAX_IMPOSSIBLE, MIN_JUDGED = 0.5, 10  # Of the cells; with more, or of fewer, they are hardly dates.
MIN_COMPACT_DATES = 5  # Different ones; fewer may be dates by chance.
MOSTLY_DATES = 0.9  # Of the cells: then the others are worth a question.


def decide_date(cells: ColumnCells, dates: list[AnyDate]) -> Decision:
    """The reading, question and notes of a column whose cells all have the shape of these formats.

    With a question the reading is TEXT until a person has answered."""
    patterns, notes = [shape.pattern for shape in cells.summary.shapes], []
    kind = "datetime" if date_formats.has_time(patterns) else "date"
    if date_formats.has_offset(patterns) and cells.count_distinct(_offset_sql) > 1:
        dates = list(map(date_formats.given_in_utc, dates))
        notes = ["Times with different offsets from UTC are given in UTC."]
    if named := (zones := date_formats.find_zones(patterns)) - {"", "UTC", "GMT"}:
        listed = ", ".join(sorted(zones - {""}))
        if not date_formats.are_of_one_place(zones):
            return TEXT, None, [f"Times of several zones ({listed}) were kept as text."]
        notes = [f"The clock's time was read without its zone ({', '.join(sorted(named))})."]
    readings = [Reading(f"{kind}:{each.name}", kind, date_format=each) for each in dates]
    if cells.summary.check:
        return readings[0], None, notes  # It leaves out Buddhist years, too.
    fitting = readings[:1]
    if not cells.summary.has_valid_dates:
        # 29 February 2567 was a day as Thailand counts years, and is none otherwise.
        moved = [
            with_buddhist_years(reading)
            for reading in readings
            if isinstance(reading.date_format, DateFormat)
        ]
        fitting = _all_fitting(cells, readings) or _all_fitting(cells, moved)
    if not fitting:
        question = _ask_about_impossible_days(cells, readings)
        return (TEXT, question, []) if question else KEEP_TEXT
    if cells.summary.markers:
        return _ask_about_missing_dates(cells, fitting)
    return _settle_years(cells, fitting, notes)


def _ask_about_impossible_days(cells: ColumnCells, readings: list[Reading]) -> Question | None:
    """Some cells look like dates and are none: 0000-00-00 of MySQL, 31.02.2024."""
    others = cells.summary.marker_count
    counts = [_count_unfitting(cells, reading) for reading in readings]
    least = min(counts)
    filled = cells.summary.filled
    if filled < MIN_JUDGED or least - others > MAX_IMPOSSIBLE * filled:
        return None
    fitting = [
        replace(reading, name=f"{reading.name}+missing")
        for reading, count in zip(readings, counts, strict=True)
        if count == least
    ]
    is_no_day = fitting[0].to_sql
    example = cells.example(lambda cell: f"{is_no_day(cell)} IS NULL")
    count = least - others
    sentence = (
        f"1 cell of {cells.name!r} looks like a date, but is no day: {example!r}. Keep the column"
        " as text, or read it as missing?"
        if count == 1
        else f"{count:,} cells of {cells.name!r} look like dates, but are no days, such as"
        f" {example!r}. Keep the column as text, or read them as missing?"
    )
    return Question("impossible_days", sentence, [TEXT, *fitting])


def _all_fitting(cells: ColumnCells, readings: list[Reading]) -> list[Reading]:
    """The readings in which every cell is a date, except words for missing such as NA."""
    others = cells.summary.marker_count
    return [reading for reading in readings if _count_unfitting(cells, reading) == others]


def _count_unfitting(cells: ColumnCells, reading: Reading) -> int:
    return cells.count(lambda cell: f"{reading.to_sql(cell)} IS NULL")


def _offset_sql(cell: str) -> str:
    return f"nullif(regexp_extract({trimmed(cell)}, '{date_formats.OFFSET}', 1), '')"


def _settle_years(cells: ColumnCells, fitting: list[Reading], notes: list[str]) -> Decision:
    """Decide how years are counted: 2567 may be 2024 in Thailand's calendar, or a year in a future
    that few tables hold."""
    form = fitting[0].date_format
    first, last = cells.least(form.year_sql), cells.greatest(form.year_sql)
    if first > OTHER_YEARS[1] and last < BUDDHIST_YEARS[0]:
        return _settle_order(cells, fitting, notes)
    count = _count_years(cells, form, BUDDHIST_YEARS)
    is_certain = isinstance(form, DateFormat) and form.is_buddhist
    if is_certain or (count >= MOSTLY * cells.summary.filled and isinstance(form, DateFormat)):
        buddhist = [with_buddhist_years(reading) for reading in fitting]
        if not (is_certain or cells.context.is_thai or THAI.search(cells.name)):
            sentence = buddhist_years_sentence(cells.name)
            return TEXT, Question("buddhist_years", sentence, [*buddhist, *fitting, TEXT]), []
        fitting = buddhist
        notes = [*notes, "Years were read as Thailand counts them: 2567 is 2024."]
    elif _are_of_another_calendar(cells, form):
        sentence = (
            f"Years in {cells.name!r} are like 1403. If another calendar counts them, such as the"
            " Persian or the Islamic one, keep the text: those days are not converted."
        )
        return TEXT, Question("other_calendar", sentence, [TEXT, *fitting]), []
    elif count:
        notes = [*notes, strange_years_note(count)]
    return _settle_order(cells, fitting, notes)


def buddhist_years_sentence(name: str) -> str:
    return (
        f"Years in {name!r} are like 2567. Are they counted as in Thailand, where 2567 is 2024, or"
        " are they in the future?"
    )


def strange_years_note(count: int) -> str:
    low, high = BUDDHIST_YEARS
    return (
        f"Cells with years from {low} to {high}, in the future or counted as in Thailand:"
        f" {count:,}. They were read as they stand."
    )


def _are_of_another_calendar(cells: ColumnCells, form: AnyDate) -> bool:
    count = _count_years(cells, form, OTHER_YEARS)
    return count > 0 and count >= MOSTLY * cells.summary.filled


def _count_years(cells: ColumnCells, form: AnyDate, years: tuple[int, int]) -> int:
    low, high = years
    return cells.count(lambda cell: f"({form.year_sql(cell)})::INTEGER BETWEEN {low} AND {high}")


def with_buddhist_years(reading: Reading) -> Reading:
    """The same reading with years such as 2567 for 2024."""
    assert isinstance(reading.date_format, DateFormat)
    moved = replace(reading.date_format, is_buddhist=True)
    return Reading(f"{reading.type}:{moved.name}", reading.type, date_format=moved)


def _settle_order(cells: ColumnCells, fitting: list[Reading], notes: list[str]) -> Decision:
    only = fitting[0].date_format
    if isinstance(only, WrittenDate) and only.is_doubtful:
        example = cells.summary.shapes[0].example
        sentence = (
            f"Are cells of {cells.name!r} such as {example!r} dates, in short, or are they codes?"
        )
        return TEXT, Question("short_dates", sentence, [*fitting, TEXT]), []
    if len(fitting) == 1:
        return fitting[0], None, notes
    sentence = (
        f"Is the day or the month first in {cells.name!r}? No cell tells: no day is above 12."
    )
    return TEXT, Question("date_order", sentence, [*fitting, TEXT]), []


def _ask_about_missing_dates(cells: ColumnCells, fitting: list[Reading]) -> Decision:
    """Dates beside words such as NA: missing dates, or the classes of a column of text."""
    markers, count = ", ".join(cells.summary.markers), cells.summary.marker_count
    sentence = (
        f"1 cell of {cells.name!r} is {markers}; the others are dates. Keep the column as text, or"
        " read that cell as missing?"
        if count == 1
        else f"{count:,} cells of {cells.name!r} are {markers}; the others are dates."
        " Keep the column as text, or read those cells as missing?"
    )
    dates = [replace(reading, name=f"{reading.name}+missing") for reading in fitting]
    return TEXT, Question("stray_cells", sentence, [TEXT, *dates]), []


def ask_about_compact_dates(cells: ColumnCells, number: Reading) -> Question | None:
    """20240131 beside 20240201 are dates: as numbers they would be 70 apart."""
    if any(shape.pattern != "99999999" or shape.digits != 8 for shape in cells.summary.shapes):
        return None
    reading = Reading(f"date:{COMPACT.name}", "date", date_format=COMPACT)

    def unfitting(cell: str) -> str:
        value = reading.to_sql(cell)
        return f"({value}) IS NULL OR year({value}) NOT BETWEEN 1900 AND 2100"

    if cells.count(unfitting) or cells.count_distinct(reading.to_sql) < MIN_COMPACT_DATES:
        return None
    sentence = (
        f"All cells of {cells.name!r} are numbers such as {cells.summary.shapes[0].example!r}, and"
        " all are dates. Read the dates, or the numbers?"
    )
    return Question("compact_dates", sentence, [reading, number, TEXT])


def may_be_counted_dates(name: str, native_type: str) -> bool:
    """Whether numbers that a file stores as such may be times that a program counted."""
    is_named = TIME_NAME.search(name.casefold()) or MONTH_NAME.search(name.casefold())
    return native_type in ("integer", "number") and is_named is not None


def ask_about_counted_dates(cells: ColumnCells, number: Reading) -> Question | None:
    """Numbers in a column of times that count days, seconds or months: as numbers, December and
    January would be 89 apart, and no part of a time could be learnt from."""
    patterns = [shape.pattern for shape in cells.summary.shapes]
    name = cells.name.casefold()
    for pattern, names, form, kind in COUNTED:
        if not (patterns and all(map(pattern.fullmatch, patterns)) and names.search(name)):
            continue
        reading = Reading(f"{kind}:{form.name}", kind, date_format=form)
        if _all_fitting(cells, [reading]):
            sentence = (
                f"Cells of {cells.name!r} such as {cells.summary.shapes[0].example!r} may be times"
                " as programs write them, in seconds since 1970 or in months. Read the dates?"
            )
            return Question("counted_dates", sentence, [reading, number, TEXT])
    return ask_about_serial_dates(cells, number)


def ask_about_serial_dates(cells: ColumnCells, number: Reading | None) -> Question | None:
    """44927 in a column of dates is how a spreadsheet keeps 2023-01-01. `number`: the reading of
    the cells if all are numbers; else the others must be dates."""
    shapes = cells.summary.shapes
    serial = [shape for shape in shapes if SERIAL_SHAPE.fullmatch(shape.pattern)]
    if not serial or not DATE_NAME.search(cells.name.casefold()):
        return None
    others = [shape.pattern for shape in shapes if shape not in serial]
    forms = date_formats.fitting_dates(others) if others else [ISO]
    has_time = date_formats.has_time(others) or any("." in shape.pattern for shape in serial)
    kind = "datetime" if has_time else "date"
    readings = [
        Reading(f"{kind}:{each.name}", kind, date_format=each)
        for each in (
            date_formats.SerialDate(form.order, form.mark)
            for form in forms
            if isinstance(form, DateFormat)
        )
    ]
    fitting = _all_fitting(cells, readings)
    if not fitting or (others and number):
        return None
    sentence = (
        f"Cells of {cells.name!r} such as {serial[0].example!r} may be days as a spreadsheet counts"
        " them, of which 44927 is 2023-01-01. Read the dates?"
    )
    return Question("serial_dates", sentence, [*fitting, *([number] if number else []), TEXT])


def ask_about_stray_dates(cells: ColumnCells) -> Question | None:
    """Most cells are dates, and a few are words: such as the total below a report."""
    summary = cells.summary
    by_format: dict[str, int] = {}
    for shape in summary.shapes:
        for each in date_formats.fitting_dates([shape.pattern])[:1]:
            by_format[each.name] = by_format.get(each.name, 0) + shape.count
    name, count = max(by_format.items(), key=lambda entry: entry[1], default=("", 0))
    others = summary.filled - count
    if not others or count < MOSTLY_DATES * summary.filled:
        return None
    first = date_formats.BY_NAME[name]
    shapes = [shape for shape in summary.shapes if first.pattern.fullmatch(shape.pattern)]
    kind = "datetime" if date_formats.has_time([shape.pattern for shape in shapes]) else "date"
    formats = date_formats.fitting_dates([shape.pattern for shape in shapes])
    readings = [Reading(f"{kind}:{each.name}+missing", kind, date_format=each) for each in formats]
    fitting = [
        reading
        for reading in readings
        if _count_unfitting(cells, reading) == others + summary.marker_count
    ]
    if not fitting:
        return None
    example = next((s.example for s in summary.shapes if s not in shapes), "a long text")
    sentence = (
        f"All cells of {cells.name!r} but one are dates; that one is {example!r}. Keep the column"
        " as text, or read that cell as missing?"
        if others == 1
        else f"{count:,} of {summary.filled:,} cells of {cells.name!r} are dates; {others:,} are"
        f" not, such as {example!r}. Keep the column as text, or read those cells as missing?"
    )
    return Question("stray_cells", sentence, [TEXT, *fitting])
