"""Questions about columns of numbers as people write them: powers of ten, values with an error,
spans of time in words, and places in an order."""

from collections.abc import Sequence
from functools import partial

from projects.reading.columns import written_numbers
from projects.reading.columns.column import TEXT, Question, Reading
from projects.reading.columns.number_formats import CellShape, NumberFormat, fitting_formats
from projects.reading.columns.questions.numbers import is_no_number_sql, with_missing
from projects.reading.columns.shapes import ColumnCells
from projects.reading.columns.word_durations import WORD_DURATION, units_of


def ask_about_powers(cells: ColumnCells) -> Question | None:
    """1.5×10^3, beside which plain numbers may stand."""
    written = list(filter(written_numbers.has_power, cells.summary.shapes))
    readings = _readings(cells, written_numbers.POWERS) if written else []
    if not readings:
        return None
    sentence = (
        f"Cells of {cells.name!r} such as {written[0].example!r} may be numbers times a power of"
        " ten. Read the numbers, or keep the text?"
    )
    return Question("powers", sentence, [*readings, TEXT])


def ask_about_errors(cells: ColumnCells) -> Question | None:
    """0.5 ± 0.1: a model learns from the value; the error would be lost."""
    written = list(filter(written_numbers.has_error, cells.summary.shapes))
    readings = _readings(cells, written_numbers.UNCERTAIN) if written else []
    if not readings:
        return None
    sentence = (
        f"Cells of {cells.name!r} such as {written[0].example!r} may be values with their error"
        " behind. Read the values, without the errors, or keep the text?"
    )
    return Question("errors", sentence, [*readings, TEXT])


def ask_about_durations_in_words(cells: ColumnCells) -> Question | None:
    """1h 20min beside 45min. Where all have one unit, that unit is asked about."""
    shapes = cells.summary.shapes
    units = [units_of(shape) for shape in shapes]
    has_times = len(frozenset().union(*units)) > 1 and all(units)
    readings = _readings(cells, [WORD_DURATION]) if has_times else []
    if not readings:
        return None
    longest = max(zip(units, shapes, strict=True), key=lambda pair: len(pair[0]))[1]
    sentence = (
        f"Cells of {cells.name!r} such as {longest.example!r} may be spans of time, with 24 hours"
        " in a day. Read them as seconds, or keep the text?"
    )
    return Question("durations", sentence, [*readings, TEXT])


def ask_about_ordinals(cells: ColumnCells) -> Question | None:
    """1st, 2nd, 3rd are places, whose order a model should see; or names, as of chapters."""
    shapes = cells.summary.shapes
    is_one_kind = len(written_numbers.counted_things(shapes)) == 1
    readings = _readings(cells, [written_numbers.ORDINAL]) if is_one_kind else []
    if not readings:
        return None
    sentence = (
        f"Are cells of {cells.name!r} such as {shapes[0].example!r} places in an order, or names?"
        " Read the numbers, or keep the text?"
    )
    return Question("ordinals", sentence, [*readings, TEXT])


def _readings(cells: ColumnCells, candidates: Sequence[NumberFormat]) -> list[Reading]:
    """The first of the formats that read every cell, as a list; [] where none does, such as of
    2×12^3, which looks like a power of ten."""
    shapes: list[CellShape] = cells.summary.shapes
    for number_format in fitting_formats(shapes, candidates):
        missing = cells.count(partial(is_no_number_sql, number_format))
        if missing == cells.summary.marker_count:
            return [with_missing(cells, number_format)]
    return []


ASKED_ABOUT_WRITTEN_NUMBERS = (
    ask_about_powers, ask_about_errors, ask_about_durations_in_words, ask_about_ordinals,
)  # fmt: skip
