"""How people write dates: order of day, month and year, by the shapes of a column's cells.

ISO dates and years that come first need no decision. 03/04/2026 means two different days, so a
column of such dates is decided by a cell whose first or second part is above 12, and otherwise
left for a person to decide. With dots the day comes first wherever dots are used (CLDR).
"""

import re
from dataclasses import dataclass

DATE_PART = r"9{1,2}"
_TIME = r"(?:[ T]9{1,2}:99(?::99(?:\.9{1,9})?)?(?P<zone>Z|[+-]99:?99)?)?"


@dataclass(frozen=True)
class DateFormat:
    """`order` is a permutation of y, m, d; `mark` stands between the parts."""

    order: str
    mark: str

    @property
    def name(self) -> str:
        return self.mark.join(self.order)

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = {"y": "9999", "m": DATE_PART, "d": DATE_PART}
        date = re.escape(self.mark).join(parts[part] for part in self.order)
        return re.compile(date + _TIME)

    def to_sql(self, cell: str, *, with_time: bool) -> str:
        """SQL that makes DATE or TIMESTAMP of a text expression; NULL where it is no such date."""
        if self == ISO:
            return f"try_cast(trim({cell}) AS {'TIMESTAMP' if with_time else 'DATE'})"
        groups = {part: position for position, part in enumerate(self.order, 1)}
        numbers = {"y": "([0-9]{4})", "m": "([0-9]{1,2})", "d": "([0-9]{1,2})"}
        mark = "[.]" if self.mark == "." else self.mark
        date = mark.join(numbers[part] for part in self.order)
        iso = rf"\{groups['y']}-\{groups['m']}-\{groups['d']}"
        text = f"regexp_replace(trim({cell}), '^{date}', '{iso}')"
        return f"try_cast({text} AS {'TIMESTAMP' if with_time else 'DATE'})"


ISO = DateFormat("ymd", "-")
CERTAIN = (ISO, DateFormat("ymd", "/"), DateFormat("ymd", "."), DateFormat("dmy", "."))
AMBIGUOUS = (
    (DateFormat("dmy", "/"), DateFormat("mdy", "/")),
    (DateFormat("dmy", "-"), DateFormat("mdy", "-")),
)
BY_NAME = {date.name: date for date in (*CERTAIN, *(each for pair in AMBIGUOUS for each in pair))}


def fitting_dates(patterns: list[str]) -> list[DateFormat]:
    """The formats whose shape every cell has; two when the order of day and month is open."""
    for candidates in (*[(each,) for each in CERTAIN], *AMBIGUOUS):
        if all(candidates[0].pattern.fullmatch(pattern) for pattern in patterns):
            return list(candidates)
    return []


def has_time(patterns: list[str]) -> bool:
    return any(":" in pattern for pattern in patterns)
