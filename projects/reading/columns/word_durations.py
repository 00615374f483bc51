"""Spans of time in words: 1h 20min, 2 hours 5 minutes, 1小时20分钟."""

import re
from dataclasses import dataclass

from projects.reading.columns.number_formats import SPACES, CellShape, DurationFormat

# Words of each unit, in lower case. 日 and 時 alone are of days and times of day.
_UNITS = {
    86_400: (
        "d", "day", "days", "tag", "tage", "tagen", "jour", "jours", "día", "días", "dia", "dias",
        "天",
    ),
    3_600: (
        "h", "hr", "hrs", "hour", "hours", "std", "stunde", "stunden", "heure", "heures", "hora",
        "horas", "小时", "小時", "个小时", "時間", "시간", "ч",
    ),
    60: (
        "m", "min", "mins", "minute", "minutes", "minuten", "minuto", "minutos", "分钟", "分鐘",
        "分", "분", "мин",
    ),
    1: (
        "s", "sec", "secs", "second", "seconds", "sek", "sekunde", "sekunden", "seconde",
        "secondes", "segundo", "segundos", "秒", "秒钟", "초", "сек",
    ),
}  # fmt: skip
_BETWEEN = rf"[{SPACES}]*(?:,|and|und|et|y|e)?[{SPACES}]*"


def _part(seconds: int, digit: str) -> str:
    words = "|".join(sorted(_UNITS[seconds], key=len, reverse=True))
    return rf"(?:({digit}+(?:[.,]{digit}+)?)[{SPACES}]*(?:{words})[.]?)?"


def _grammar(digit: str) -> str:
    return _BETWEEN.join(_part(seconds, digit) for seconds in _UNITS)


_SHAPE = re.compile(_grammar("9"), re.IGNORECASE)
_SQL = f"(?i){_grammar('[0-9]')}"


@dataclass(frozen=True)
class WordDurationFormat(DurationFormat):
    """Spans of time whose units are written out, as seconds."""

    shown: str = "1h 20min"

    def match(self, shape: CellShape) -> re.Match[str] | None:
        match = _SHAPE.fullmatch(shape.pattern)
        return match if match and any(match.groups()) else None

    def is_integer(self, shape: CellShape) -> bool:
        return not re.search("[.,]9", shape.pattern)

    def to_sql(self, cell: str) -> str:
        parts = " + ".join(
            f"coalesce(try_cast(replace(regexp_extract({cell}, '{_SQL}', {place}), ',', '.')"
            f" AS DOUBLE), 0) * {seconds}"
            for place, seconds in enumerate(_UNITS, 1)
        )
        fits = f"regexp_full_match({cell}, '{_SQL}') AND regexp_matches({cell}, '[0-9]')"
        return f"CASE WHEN {fits} THEN {parts} END"


WORD_DURATION = WordDurationFormat()


def units_of(shape: CellShape) -> frozenset[int]:
    """The places of the units that cells of this shape name: 0 for days to 3 for seconds."""
    match = WORD_DURATION.match(shape)
    return (
        frozenset(place for place, part in enumerate(match.groups()) if part)
        if match
        else frozenset()
    )
