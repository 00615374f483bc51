"""When people are there: kept as {"mon": ["09:00", "17:00"]}, written as `mon-fri 09:00-17:00`."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from assistants.models import Assistant

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
ALWAYS = {"en": "at any time", "zh": "全天"}
LINE = re.compile(
    r"(?P<first>[a-z]{3})(?:\s*[-–]\s*(?P<last>[a-z]{3}))?"
    r"\s+(?P<opens>\d{1,2}:\d{2})\s*[-–]\s*(?P<closes>\d{1,2}:\d{2})"
)
Hours = Mapping[str, Sequence[str]]


def is_open(assistant: Assistant, moment: datetime) -> bool:
    """Whether people are there; without opening hours they always are."""
    if not assistant.opening_hours:
        return True
    local = moment.astimezone(ZoneInfo(assistant.time_zone))
    hours = assistant.opening_hours.get(DAYS[local.weekday()])
    return bool(hours) and hours[0] <= local.strftime("%H:%M") < hours[1]


def parse_hours(text: str) -> dict[str, list[str]]:
    """Of lines such as `mon-fri 09:00-17:00`. Raises ValueError with the line that is none."""
    hours: dict[str, list[str]] = {}
    for line in filter(None, (line.strip().lower() for line in text.splitlines())):
        match = LINE.fullmatch(line)
        if match is None or not {match["first"], match["last"] or "mon"} <= {*DAYS}:
            raise ValueError(f"“{line[:40]}” is no line such as mon-fri 09:00-17:00.")
        opens, closes = _minute(match["opens"]), _minute(match["closes"])
        if not opens < closes <= "24:00":
            raise ValueError(
                f"“{line[:40]}” must end later than it begins, at 24:00 at the latest."
            )
        first = DAYS.index(match["first"])
        last = DAYS.index(match["last"]) if match["last"] else first
        for number in range(first, last + 1 if last >= first else last + 8):
            hours[DAYS[number % 7]] = [opens, closes]
    return hours


def format_hours(hours: Hours, names: Sequence[str] = DAYS, to: str = "-") -> list[str]:
    """A line for each run of days with equal hours."""
    open_days = [(number, tuple(hours[day])) for number, day in enumerate(DAYS) if day in hours]
    lines = []
    for (_, times), days in groupby(
        enumerate(open_days), key=lambda pair: (pair[1][0] - pair[0], pair[1][1])
    ):
        numbers = [number for _, (number, _) in days]
        first, last = names[numbers[0]], names[numbers[-1]]
        span = first if len(numbers) == 1 else f"{first}{to}{last}"
        lines.append(f"{span} {times[0]}-{times[1]}")
    return lines


def describe_hours(assistant: Assistant, language: str) -> str:
    """For visitors, with the zone."""
    language = language if language in DAY_NAMES else "en"
    if not assistant.opening_hours:
        return ALWAYS[language]
    to = "至" if language == "zh" else "–"
    lines = format_hours(assistant.opening_hours, DAY_NAMES[language], to)
    joined = ("，" if language == "zh" else ", ").join(lines).replace("-", "–")
    zone = assistant.time_zone
    return f"{joined}（{zone}）" if language == "zh" else f"{joined} ({zone})"


def _minute(text: str) -> str:
    """`9:00` as `09:00`. Raises ValueError for no time of a day."""
    hours, minutes = (int(part) for part in text.split(":"))
    if minutes > 59 or hours > 24 or (hours == 24 and minutes):
        raise ValueError(f"{text} is no time of a day.")
    return f"{hours:02}:{minutes:02}"
