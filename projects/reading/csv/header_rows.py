"""Decides whether the first row of a table names its columns, by evidence from each column.

A word above numbers is evidence for names. A number above numbers, a value that repeats below in a
column of classes, and a sentence above sentences are evidence for data. Numbers that count up from
column to column, as years and survey items do, are names unless there is evidence for data. Where
columns disagree, a person is asked.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

MAX_ROWS_COMPARED = 500
MIN_CELLS_TO_COMPARE = 5
MIN_ALIKE_SHARE = 0.8
MIN_REPEATED_SHARE = 0.5  # Of cells that come again: then a column holds classes.
MAX_NAME_CHARS = 60
MAX_COUNTING_SHARE = 0.3  # Of the rows below may count up by chance.
CLEAR_MAJORITY = 3  # So many times more signs decide without a question.
YEARS = range(1900, 2101)
MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "."})
_SENTENCE = re.compile(r"\S+(?:\s+\S+){4,}")  # Five words: a name is hardly so long.
NUMBER = re.compile(r"[-+]?[$€£]?\s?\d[\d.,]*\s?[%€]?([eE][-+]?\d+)?")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2})?")
URL_OR_EMAIL = re.compile(r"(https?://|www\.)\S+|\S+@\S+\.\S+")
_PATTERNS = (("date", DATE), ("number", NUMBER), ("address", URL_OR_EMAIL))


@dataclass(frozen=True)
class HeaderVerdict:
    """Whether the first row is a header, why, and whether that is in doubt."""

    is_header: bool
    reason: str
    is_doubtful: bool = False


@dataclass(frozen=True)
class _Signs:
    """How many columns give each kind of evidence, and the first example of two kinds."""

    words_above_values: int
    values_above_values: int
    recurring: int  # First cells that are classes below.
    certain_recurring: int
    sentences: int
    words_above_sentences: int
    first_value: str
    first_recurring: str


def judge_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> HeaderVerdict:
    """Whether `first` names the columns of `rows`, the rows below it. Rows equal to `first` are
    ignored."""
    names = [cell.strip() for cell in first]
    below = [row for row in rows[:MAX_ROWS_COMPARED] if [cell.strip() for cell in row] != names]
    sequence = _counting_places(names, below)
    signs = _read_signs(names, below, sequence)
    # One name among many may also be a value: `Holiday` above `No Holiday` and `Holiday`.
    is_outvoted = signs.words_above_values >= CLEAR_MAJORITY * signs.certain_recurring
    if signs.certain_recurring and not is_outvoted:
        reason = f"the value {signs.first_recurring[:40]!r} of the first line comes again below"
        has_names = signs.words_above_values + signs.words_above_sentences > 0
        return HeaderVerdict(False, reason, is_doubtful=has_names)
    if signs.values_above_values:
        return _weigh_values(signs, names)
    if signs.recurring and not signs.words_above_values:
        reason = f"the value {signs.first_recurring[:40]!r} of the first line comes again below"
        return HeaderVerdict(False, reason, is_doubtful=not signs.sentences)
    if len(names) == 1 and len(names[0]) > MAX_NAME_CHARS:
        return HeaderVerdict(False, "the first line reads as a text, not as a name")
    if sequence:
        is_certain = int(names[min(sequence)]) in YEARS or signs.words_above_values > 0
        return HeaderVerdict(True, "the first line counts up, as names do", not is_certain)
    is_doubtful = signs.recurring * CLEAR_MAJORITY > signs.words_above_values or (
        signs.sentences > 0 and not signs.words_above_values
    )
    return HeaderVerdict(True, "the first line reads as names", is_doubtful)


def _weigh_values(signs: _Signs, names: Sequence[str]) -> HeaderVerdict:
    """Numbers above numbers, against words above numbers in the same row."""
    value, words = signs.values_above_values, signs.words_above_values
    if words > value:
        return HeaderVerdict(
            True, "the first line reads as names", is_doubtful=words < CLEAR_MAJORITY * value
        )
    reason = f"the first line holds the value {signs.first_value[:40]!r}, not names"
    return HeaderVerdict(False, reason, is_doubtful=words > 0)


def _read_signs(
    names: Sequence[str], rows: Sequence[Sequence[str]], sequence: frozenset[int]
) -> _Signs:
    words = values = recurring = certain = sentences = above_sentences = 0
    first_value = first_recurring = ""
    for place, name in enumerate(names):
        cells = [row[place].strip() for row in rows if place < len(row)]
        cells = [cell for cell in cells if cell]
        if place in sequence or name.casefold() in MISSING_WORDS:
            continue
        kind = value_type(name)
        alike = mean(value_type(cell) == kind for cell in cells) if cells else float(bool(kind))
        if kind and alike > MIN_ALIKE_SHARE:
            values += 1
            first_value = first_value or name
            continue  # That it comes again below says no more: numbers do.
        if not kind and cells and mean(map(_is_value, cells)) > MIN_ALIKE_SHARE:
            words += 1
        if set(cells) == {name} and len(cells) < len(rows):
            continue  # A tick box of a form: its column is named by the value of a tick.
        again = cells.count(name) if len(cells) >= MIN_CELLS_TO_COMPARE else 0
        if again >= max(2, len(cells) / 10):
            certain += 1
        if again and _are_classes(cells):
            recurring += 1
        if again:
            first_recurring = first_recurring or name
        has_sentences = bool(cells) and mean(map(_is_sentence, cells)) > 0.5
        sentences += has_sentences and _is_sentence(name)
        above_sentences += has_sentences and " " not in name
    return _Signs(
        words, values, recurring, certain, sentences, above_sentences, first_value, first_recurring
    )


def value_type(text: str) -> str:
    """ "date", "number" or "address" (a URL or an e-mail); "" for words."""
    return next((name for name, pattern in _PATTERNS if pattern.fullmatch(text)), "")


def _is_value(text: str) -> bool:
    return bool(value_type(text)) or text.casefold() in MISSING_WORDS


def _is_sentence(text: str) -> bool:
    return len(text) > MAX_NAME_CHARS or _SENTENCE.match(text) is not None


def _are_classes(cells: Sequence[str]) -> bool:
    """Whether most cells are values that repeat, as classes do and free text and ids do not."""
    counts = Counter(cells)
    return sum(count for count in counts.values() if count > 1) >= MIN_REPEATED_SHARE * len(cells)


def _counting_places(names: Sequence[str], rows: Sequence[Sequence[str]]) -> frozenset[int]:
    """Positions of names that count up by one from column to column: years, or from 0 or 1.

    Empty where the rows below count up too, or where there are only two small numbers.
    """
    places = [place for place, name in enumerate(names) if name.isascii() and name.isdigit()]
    if len(places) < 2 or not _counts_up([names[place] for place in places]):
        return frozenset()
    if places != list(range(places[0], places[0] + len(places))):
        return frozenset()
    first = int(names[places[0]])
    is_years = first in YEARS
    if not is_years and (first not in (0, 1) or len(names) < 3):
        return frozenset()
    counting = [
        _counts_up([row[place].strip() for place in places if place < len(row)]) for row in rows
    ]
    is_data = counting and not is_years and mean(counting) > MAX_COUNTING_SHARE
    return frozenset() if is_data else frozenset(places)


def _counts_up(cells: Sequence[str]) -> bool:
    if len(cells) < 2 or not all(cell.isascii() and cell.isdigit() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    is_padded = len({len(cell) for cell in cells}) == 1  # 01 to 12.
    is_plain = is_padded or all(
        str(number) == cell for number, cell in zip(numbers, cells, strict=True)
    )
    return is_plain and all(b - a == 1 for a, b in zip(numbers, numbers[1:], strict=False))
