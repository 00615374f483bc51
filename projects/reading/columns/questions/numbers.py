"""Questions about columns whose numbers could as well be something else."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from projects.reading.columns import number_formats, written_numbers
from projects.reading.columns.column import TEXT, Question, Reading
from projects.reading.columns.number_formats import CellShape, NumberFormat
from projects.reading.columns.precision import MAX_DIGITS, keeps_digits_sql
from projects.reading.columns.shapes import ColumnCells
from projects.reading.columns.sql import trimmed

CATEGORY_LIMIT = 20  # A column of so few whole numbers may be classes, and "none" one of them.
MIN_CODE_DIGITS = 9
MIN_SCALED = 0.2  # Of the cells: fewer with B behind them are house numbers.
MIN_MEASURED = 0.5  # Of the cells, beside which the others are limits.
ADDRESS_GROUPS = 4  # Of digits in an address of the internet.
VERSION_SHAPE = re.compile(r"9{1,2}([.]9{1,2})?")
# Words of a column's name whose 3.10 is no 3.1.
VERSION_NAME = re.compile(
    r"(^|[^a-z])(version|ver|release|build|firmware|revision|section|clause|chapter|paragraph)"
    r"($|[^a-z])|版本|章节|条款",
)

# Those whose 3.10 is 3.1: people type amounts with and without the last zero.
AMOUNT_NAME = re.compile(
    r"(^|[^a-z])(price|amount|cost|total|subtotal|sum|fee|salary|wage|income|revenue|sales|balance"
    r"|budget|tax|discount|weight|height|width|length|distance|temperature|percent|usd|eur|gbp)"
    r"($|[^a-z])|价格|单价|金额|费用|总计|合计|工资|收入|余额|重量|身高|长度|温度",
)


def marks_of(number_format: NumberFormat, shapes: list[CellShape]) -> frozenset[tuple[str, str]]:
    """What the marks in these cells are under a format: {("decimal", ","), ("group", ".")}."""
    roles = set()
    for shape in shapes:
        match = number_format.match(shape)
        if match is not None and (match["fraction"] or "").strip("9"):
            roles.add(("decimal", number_format.decimal))
        if number_format.is_grouped(shape):
            roles.add(("group", number_format.group))
    return frozenset(roles)


def _one_of_each_meaning(
    formats: Sequence[NumberFormat], shapes: list[CellShape]
) -> list[NumberFormat]:
    """The first format of each meaning: formats mean the same where marks have the same roles."""
    by_meaning: dict[frozenset[tuple[str, str]], NumberFormat] = {}
    for each in formats:
        by_meaning.setdefault(marks_of(each, shapes), each)
    return list(by_meaning.values())


def number_reading(number_format: NumberFormat, shapes: list[CellShape]) -> Reading:
    is_whole = all(number_format.is_integer(shape) for shape in shapes)
    kind = "integer" if is_whole else "number"
    return Reading(f"number:{number_format.name}", kind, number_format)


def ask_about_units(cells: ColumnCells, reading: Reading) -> Question | None:
    """Amounts in several currencies, or percent beside plain numbers, are not one quantity."""
    units = {shape.unit for shape in cells.summary.shapes}
    if len(units - {""}) <= 1 and not ("%" in units and "" in units):
        return None
    listed = ", ".join(sorted(unit or "none" for unit in units))
    sentence = f"{cells.name!r} mixes units ({listed}). As numbers they would lose them."
    return Question("units", sentence, [reading, TEXT])


def ask_about_brackets(cells: ColumnCells, reading: Reading) -> Question | None:
    """(1), (2), (3) number notes as often as they are losses: only beside other numbers, or with a
    decimal or grouping mark, are brackets a minus."""
    shapes, number_format = cells.summary.shapes, reading.number_format
    are_notes = all(
        number_format.is_in_brackets(shape) and not re.search(r"[.,]9", shape.pattern)
        for shape in shapes
    )
    if not are_notes:
        return None
    sentence = (
        f"All cells of {cells.name!r} are in brackets, such as {shapes[0].example!r}. Are they"
        " losses, as accountants write them, or is it the text?"
    )
    return Question("brackets", sentence, [reading, TEXT])


def ask_about_unit_behind(cells: ColumnCells) -> Question | None:
    """Every cell is a number with the same word behind it: a quantity, or a name such as 3a."""
    shapes = cells.summary.shapes
    unit = "" if cells.summary.markers else number_formats.unit_behind(shapes)
    candidates = [replace(each, unit=unit) for each in number_formats.FORMATS] if unit else []
    formats = number_formats.fitting_formats(shapes, candidates)
    if not formats:
        return None
    readings = _scaled_readings(cells)  # 5M may be five million.
    readings += [number_reading(each, shapes) for each in _one_of_each_meaning(formats, shapes)]
    sentence = (
        f"Every cell of {cells.name!r} is a number with {unit!r} behind it, such as"
        f" {shapes[0].example!r}. Read the numbers, or keep the text?"
    )
    return Question("unit", sentence, [*readings, TEXT])


def ask_about_scales(cells: ColumnCells) -> Question | None:
    """1.5K beside 950 and 3M, or 1,2 Mio. throughout: numbers in short, or sizes and codes."""
    shapes = cells.summary.shapes
    readings = _scaled_readings(cells)
    if not readings or (number_formats.unit_behind(shapes) and not cells.summary.markers):
        return None
    example = next(shape.example for shape in shapes if number_formats.scale_word(shape))
    sentence = (
        f"Cells of {cells.name!r} such as {example!r} may be numbers in short, whose letters stand"
        " for thousands, millions and the like. Read the numbers, or keep the text?"
    )
    return Question("short_numbers", sentence, [*readings, TEXT])


def _scaled_readings(cells: ColumnCells) -> list[Reading]:
    """The readings that multiply out the words for powers of ten; none where there are none."""
    shapes = cells.summary.shapes
    formats = number_formats.fitting_formats(shapes, number_formats.SCALED)
    if not formats or not scale_words(shapes):
        return []
    return [with_missing(cells, each) for each in _one_of_each_meaning(formats, shapes)]


def scale_words(shapes: list[CellShape]) -> set[str]:
    """The words for powers of ten behind these numbers, where they are more than a few letters
    behind house numbers."""
    behind = [(number_formats.scale_word(shape), shape.count) for shape in shapes]
    words = {word for word, _ in behind} - {""}
    scaled = sum(count for word, count in behind if word)
    is_meant = len(words) > 1 or scaled >= MIN_SCALED * sum(count for _, count in behind)
    return words if is_meant and words != {"cr"} else set()  # A credit, not ten millions.


def ask_about_words_behind(cells: ColumnCells) -> Question | None:
    """1.5M views beside 950 views: numbers in short, each with a word behind it."""
    shapes = cells.summary.shapes
    # Where all letters are the same, they are asked about as one unit.
    has_unit = number_formats.unit_behind(shapes) and not cells.summary.markers
    word = "" if has_unit else number_formats.word_behind_scales(shapes)
    candidates = [replace(each, unit=word) for each in number_formats.SCALED] if word else []
    formats = number_formats.fitting_formats(shapes, candidates)
    if not formats:
        return None
    readings = [with_missing(cells, each) for each in _one_of_each_meaning(formats, shapes)]
    sentence = (
        f"Cells of {cells.name!r} such as {shapes[0].example!r} may be numbers in short, with"
        f" {word!r} behind each. Read the numbers, or keep the text?"
    )
    return Question("short_numbers", sentence, [*readings, TEXT])


def ask_about_fractions(cells: ColumnCells) -> Question | None:
    """1/2 and 3 1/4 may be fractions, or scores and days."""
    shapes = cells.summary.shapes
    fraction = next(filter(written_numbers.is_fraction, shapes), None)
    if fraction is None or not all(map(written_numbers.FRACTION.match, shapes)):
        return None
    sentence = (
        f"Cells of {cells.name!r} such as {fraction.example!r} may be fractions, of which 1/2 is"
        " 0.5, or text, as scores and days are. Read the numbers, or keep the text?"
    )
    return Question("fractions", sentence, [with_missing(cells, written_numbers.FRACTION), TEXT])


def ask_about_limits(cells: ColumnCells) -> Question | None:
    """<0.5 and >100 beside measured numbers, as laboratories write what they cannot measure. Where
    few cells are plain numbers, they are names of ranges."""
    shapes = cells.summary.shapes
    plain = [shape for shape in shapes if not written_numbers.is_limit(shape)]
    formats = number_formats.fitting_formats(shapes, written_numbers.LIMITS)
    count = sum(shape.count for shape in plain)
    # 1,000+ throughout counts; <18 beside >40 is a name.
    are_counts = all(shape.pattern.endswith("+") for shape in shapes)
    filled = cells.summary.filled
    is_measured = filled > 1 and (are_counts or count >= MIN_MEASURED * filled)
    if not formats or len(plain) == len(shapes) or not is_measured:
        return None
    readings = []
    for each in _one_of_each_meaning(formats, shapes):
        bare = NumberFormat(each.decimal, each.group)
        without = Reading(f"number:{bare.name}+missing", "number", bare)
        readings += [with_missing(cells, each), *([without] if plain else [])]
    example = next(shape.example for shape in shapes if written_numbers.is_limit(shape))
    sentence = (
        f"{filled - count:,} of {filled:,} cells of {cells.name!r} are"
        f" limits such as {example!r}. Read their numbers, read them as missing, or keep the text?"
    )
    return Question("limits", sentence, [*readings, TEXT])


def ask_about_sides(cells: ColumnCells) -> Question | None:
    """Amounts of which some have DR or CR behind them."""
    shapes = cells.summary.shapes
    sides = {number_formats.side_behind(shape) for shape in shapes}
    # Of three kinds, it is open on which side the plain amounts are. "5 h" and "30 s" are times.
    are_letters = any(re.search("9 ?[shSH]$", shape.pattern) for shape in shapes)
    has_cents = all(re.search(r"[.,]99\D*$", shape.pattern) for shape in shapes)
    if len(sides) != 2 or (are_letters and not has_cents):
        return None
    readings = [
        with_missing(cells, each)
        for negative in number_formats.SIDES
        if negative in sides
        for each in _one_of_each_meaning(
            number_formats.fitting_formats(shapes, number_formats.signed_formats(negative)), shapes
        )
    ]
    if not readings:
        return None
    example = next(shape.example for shape in shapes if number_formats.side_behind(shape))
    sentence = (
        f"Cells of {cells.name!r} such as {example!r} may be debits and credits. Which of them are"
        " below zero, or is it text?"
    )
    return Question("debits", sentence, [*readings, TEXT])


def ask_about_durations(cells: ColumnCells) -> Question | None:
    """4:13 and 1:02:33 may be spans of time, and 10:30 a time of day; PT4M13S is a span."""
    shapes = cells.summary.shapes
    iso = number_formats.ISO_DURATION
    if all(map(iso.match, shapes)) and any("T" in shape.pattern for shape in shapes):
        sentence = (
            f"Cells of {cells.name!r} such as {shapes[0].example!r} are spans of time. Read them as"
            " seconds, or keep the text?"
        )
        return Question("durations", sentence, [with_missing(cells, iso), TEXT])
    if not all(map(number_formats.DURATIONS[0].match, shapes)):
        return None
    has_short_only = all(re.fullmatch("[-+]?9+:99", shape.pattern) for shape in shapes)
    formats = number_formats.DURATIONS[:2] if has_short_only else number_formats.DURATIONS[:1]
    readings = [
        with_missing(cells, each)
        for each in formats
        if cells.count(partial(is_no_number_sql, each)) == cells.summary.marker_count
    ]
    if not readings:
        return None
    sentence = (
        f"Cells of {cells.name!r} such as {shapes[0].example!r} may be spans of time or times of"
        " day. Read them as seconds, or keep the text?"
    )
    return Question("durations", sentence, [*readings, TEXT])


def is_no_number_sql(number_format: NumberFormat, cell: str) -> str:
    return f"{number_format.to_sql(trimmed(cell))} IS NULL"


def _is_rounded_sql(number_format: NumberFormat, cell: str) -> str:
    text = trimmed(cell)
    return f"NOT ({keeps_digits_sql(text, number_format.to_sql(text))})"


def with_missing(cells: ColumnCells, number_format: NumberFormat) -> Reading:
    """The reading that takes words such as NA beside the numbers for missing."""
    kind = "duration" if isinstance(number_format, number_formats.DurationFormat) else "number"
    name = f"{kind}:{number_format.name}{'+missing' if cells.summary.markers else ''}"
    return Reading(name, "number", number_format)


def ask_about_codes(cells: ColumnCells, reading: Reading) -> Question | None:
    """600 123 456 may be a telephone number, and 192.168.100.200 an address: amounts differ in
    length, and hardly all of them are beyond a hundred million."""
    number_format = reading.number_format
    shapes = cells.summary.shapes
    has_code_length = all(
        shape.digits >= MIN_CODE_DIGITS and not shape.unit and number_format.is_grouped(shape)
        for shape in shapes
    )
    if reading.type != "integer" or number_format.group == "," or not has_code_length:
        return None
    groups = {len(re.split(r"\D", shape.pattern.strip("+-"))) for shape in shapes}
    if len({shape.pattern for shape in shapes}) > 1 and groups != {ADDRESS_GROUPS}:
        return None
    sentence = (
        f"Are cells of {cells.name!r} such as {shapes[0].example!r} amounts, or codes, as telephone"
        " numbers are?"
    )
    return Question("codes", sentence, [TEXT, reading])


def ask_about_comma_pairs(
    cells: ColumnCells, reading: Reading, meaning: frozenset[tuple[str, str]]
) -> Question | None:
    """In a file separated by commas, "12,7" may be two labels as well as a decimal number."""
    is_alone = (
        meaning == {("decimal", ",")} and ("decimal", ",") not in cells.context.marks - meaning
    )
    if not is_alone or cells.context.separator != ",":
        return None
    sentence = f"Does a comma in {cells.name!r} separate several values, or decimals?"
    return Question("comma_pairs", sentence, [reading, TEXT])


def ask_about_zeros(cells: ColumnCells, reading: Reading) -> Question | None:
    """3.1 and 3.10 are one number but two versions: text when the text carries more."""
    if AMOUNT_NAME.search(cells.name.casefold()):
        return None
    shapes = cells.summary.shapes
    matches = [reading.number_format.match(shape) for shape in shapes]
    lengths = {len(each["fraction"]) for each in matches if each and each["fraction"]}
    may_repeat = len(lengths) > 1 and any(shape.ends_with_zero for shape in shapes)
    if may_repeat and cells.count_distinct(trimmed) != cells.count_distinct(reading.to_sql):
        sentence = (
            f"{cells.name!r} holds cells that are one number but different texts, such as 3.1"
            " and 3.10. As numbers they would become the same."
        )
        return Question("trailing_zeros", sentence, [TEXT, reading])
    if lengths and _may_be_versions(cells):
        example = next((each.example for each in shapes if each.ends_with_zero), shapes[0].example)
        sentence = (
            f"Are cells of {cells.name!r} such as {example!r} versions or sections, or amounts? As"
            " numbers, zeros at the end are lost."
        )
        return Question("versions", sentence, [TEXT, reading])
    return None


def _may_be_versions(cells: ColumnCells) -> bool:
    """Short pairs of numbers of which one ends in zero though others are shorter, as 3.9 and 3.10;
    or a column whose name says so. Programs write all decimals of a column, or no zero but 5.0."""
    shapes = cells.summary.shapes
    if not all(VERSION_SHAPE.fullmatch(shape.pattern) for shape in shapes):
        return False
    if VERSION_NAME.search(cells.name.casefold()):
        return True
    lengths = {len(shape.pattern.partition(".")[2]) for shape in shapes}
    is_kept = any(
        shape.ends_with_zero and len(shape.pattern.partition(".")[2]) > 1 for shape in shapes
    )
    return is_kept and 1 in lengths


def ask_about_long_numbers(cells: ColumnCells, reading: Reading) -> Question | None:
    """Numbers of so many digits that the last ones would be rounded. Where a sample decides, its
    check looks at them."""
    if cells.summary.check:
        return None
    long = [shape for shape in cells.summary.shapes if shape.digits > MAX_DIGITS]
    if not long and not any("e" in shape.pattern.casefold() for shape in cells.summary.shapes):
        return None
    count = cells.count(partial(_is_rounded_sql, reading.number_format))
    if not count:
        return None
    example = max(cells.summary.shapes, key=lambda shape: shape.digits).example
    sentence = (
        f"1 cell of {cells.name!r} has more digits than a number keeps, such as {example!r}. Keep"
        " it as text, or round it to about 16 digits?"
        if count == 1
        else f"{count:,} cells of {cells.name!r} have more digits than a number keeps, such as"
        f" {example!r}. Keep them as text, or round them to about 16 digits?"
    )
    return Question("long_numbers", sentence, [TEXT, reading])


def ask_about_markers(cells: ColumnCells, reading: Reading) -> Question | None:
    """Beside a few whole numbers, "none" may be a class of its own."""
    markers = cells.summary.markers
    if not markers or reading.type != "integer":
        return None
    if cells.count_distinct(reading.to_sql) > CATEGORY_LIMIT:
        return None
    listed = ", ".join(
        f"{word!r} ({'1 time' if count == 1 else f'{count:,} times'})"
        for word, count in markers.items()
    )
    sentence = f"In {cells.name!r}, is {listed} a value of its own, or does it mean missing?"
    missing = Reading(f"{reading.name}+missing", reading.type, reading.number_format)
    return Question("missing_markers", sentence, [TEXT, missing])
