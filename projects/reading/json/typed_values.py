"""Unwraps values that state their own type, as MongoDB, Firestore and DynamoDB export them."""

import re
from collections.abc import Callable, Mapping

from projects.reading.columns.precision import MAX_DIGITS, keeps_digits

_INTEGER, _NUMBER = (
    re.compile(r"-?[0-9]{1,18}"),
    re.compile(r"-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?"),
)


class LongNumber(str):
    """A number as it was written, since a float would round it."""

    __slots__ = ()


def parse_float(text: str) -> float | LongNumber:
    """A number of JSON, as the text where it has more digits than a float keeps."""
    is_short = len(text) <= MAX_DIGITS and "e" not in text and "E" not in text
    return float(text) if is_short or keeps_digits(text) else LongNumber(text)


def _integer(value: object) -> object:
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value


def _number(value: object) -> object:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return value
    return _integer(value) if _INTEGER.fullmatch(value) else parse_float(value)


def _same(value: object) -> object:
    return value


def _nothing(value: object) -> object:
    return None


TYPES: Mapping[str, tuple[type, Callable[[object], object]]] = {
    "$oid": (str, _same), "$date": (str, _same), "$numberInt": (str, _integer),
    "$numberLong": (str, _integer), "$numberDouble": (str, _number),
    "$numberDecimal": (str, _number), "stringValue": (str, _same), "integerValue": (str, _integer),
    "doubleValue": (float, _same), "booleanValue": (bool, _same), "timestampValue": (str, _same),
    "S": (str, _same), "N": (str, _number), "BOOL": (bool, _same), "NULL": (bool, _nothing),
}  # fmt: skip


def unwrap(value: object) -> object:
    """The value of {"$numberInt": "5"}, {"stringValue": "x"} or {"S": "x"}; others as they are."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind not in TYPES:
        return value
    expected, convert = TYPES[kind]
    return convert(inner) if isinstance(inner, expected) else value
