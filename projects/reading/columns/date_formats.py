"""How people write dates: order of day, month and year, by the shapes of a column's cells.

ISO dates and years that come first need no decision. 03/04/2026 means two different days, so a
column of such dates is decided by a cell whose first or second part is above 12, and otherwise
left for a person to decide. With dots the day comes first wherever dots are used (CLDR).
"""

import re
from dataclasses import dataclass, replace

DATE_PART = r"9{1,2}"
_TIME = r"(?:[ T]9{1,2}:99(?::99(?:\.9{1,9})?)?(?P<zone>Z|[+-]99:?99)?)?"


@dataclass(frozen=True)
class DateFormat:
    """`order` is a permutation of y, m, d; `mark` stands between the parts. `in_utc`: cells have
    different offsets, so that what the clock showed where they were written says little."""

    order: str
    mark: str
    in_utc: bool = False

    @property
    def name(self) -> str:
        return self.mark.join(self.order) + (" UTC" if self.in_utc else "")

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = {"y": "9999", "m": DATE_PART, "d": DATE_PART}
        date = re.escape(self.mark).join(parts[part] for part in self.order)
        return re.compile(date + _TIME)

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        """SQL that makes DATE or TIMESTAMP of a text expression; NULL where it is no such date."""
        if self.in_utc:
            return f"try_cast({self._to_iso(cell)} AS TIMESTAMPTZ)::TIMESTAMP"
        return f"try_cast({self._to_iso(cell)} AS {'TIMESTAMP' if with_time else 'DATE'})"

    def _to_iso(self, cell: str) -> str:
        if (self.order, self.mark) == ("ymd", "-"):
            return f"trim({cell})"
        groups = {part: position for position, part in enumerate(self.order, 1)}
        numbers = {"y": "([0-9]{4})", "m": "([0-9]{1,2})", "d": "([0-9]{1,2})"}
        mark = "[.]" if self.mark == "." else self.mark
        date = mark.join(numbers[part] for part in self.order)
        iso = rf"\{groups['y']}-\{groups['m']}-\{groups['d']}"
        return f"regexp_replace(trim({cell}), '^{date}', '{iso}')"


ISO = DateFormat("ymd", "-")
CERTAIN = (ISO, DateFormat("ymd", "/"), DateFormat("ymd", "."), DateFormat("dmy", "."))
AMBIGUOUS = (
    (DateFormat("dmy", "/"), DateFormat("mdy", "/")),
    (DateFormat("dmy", "-"), DateFormat("mdy", "-")),
)
_ALL = (*CERTAIN, *(each for pair in AMBIGUOUS for each in pair))
BY_NAME = {date.name: date for each in _ALL for date in (each, replace(each, in_utc=True))}
OFFSET = "(Z|[+-][0-9]{2}:?[0-9]{2})$"


def fitting_dates(patterns: list[str]) -> list[DateFormat]:
    """The formats whose shape every cell has; two when the order of day and month is open."""
    for candidates in (*[(each,) for each in CERTAIN], *AMBIGUOUS):
        if all(candidates[0].pattern.fullmatch(pattern) for pattern in patterns):
            return list(candidates)
    return []


def has_offset(patterns: list[str]) -> bool:
    """Whether times say how far they are from UTC."""
    return any(re.search(r":99.*(Z|[+-]99:?99)$", pattern) for pattern in patterns)


def has_time(patterns: list[str]) -> bool:
    return any(":" in pattern for pattern in patterns)
