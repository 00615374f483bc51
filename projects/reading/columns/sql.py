"""SQL pieces: names, literals, and a cell without the blanks around it."""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from projects.reading.columns.number_formats import SPACES

T = TypeVar("T")
# Digits of Arabic, Persian, Hindi, Bengali, Thai and full-width ones, with Arabic's decimal mark.
_DIGITS = "".join(
    chr(zero + n) for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10) for n in range(10)
)
_MARKS = {"\u066b": ".", "\u066c": ",", "\uff0e": ".", "\uff0c": ",", "\uff0d": "-"}
FOREIGN_DIGITS = re.compile(f"[{_DIGITS}]")


def foreign_digits_sql(source: str) -> str:
    """SQL for a text with the digits of other scripts as those of ASCII."""
    written, plain = _DIGITS + "".join(_MARKS), "0123456789" * 6 + "".join(_MARKS.values())
    return f"translate({source}, '{written}', '{plain}')"


def quote_identifier(name: str) -> str:
    """A column name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str) -> str:
    """Text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def blank_characters() -> str:
    """SQL for the characters that may stand around a cell."""
    return " || ".join(f"chr({ord(blank)})" for blank in f"{SPACES}\t\r\n")


def trimmed(source: str) -> str:
    """SQL for a text expression without the blanks around it.

    DuckDB's trim with characters of its own is slow; a text that begins and ends with a printed
    ASCII character, as most do, needs none.
    """
    plain = f"ascii({source}) BETWEEN 33 AND 126 AND ascii(right({source}, 1)) BETWEEN 33 AND 126"
    return f"CASE WHEN {plain} THEN {source} ELSE trim({source}, {blank_characters()}) END"


def filled_or_null(source: str) -> str:
    """SQL for a text expression as it is, NULL where it holds nothing but blanks."""
    is_blank = f"trim({source}, {blank_characters()}) = ''"
    starts_printed = f"ascii({source}) BETWEEN 33 AND 126"
    return f"CASE WHEN {starts_printed} THEN {source} WHEN {is_blank} THEN NULL ELSE {source} END"


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in groups of `size` at most."""
    return (items[start : start + size] for start in range(0, len(items), size))
