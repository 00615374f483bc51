"""Billing months and days: those of the calendar in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.timezone import now

from web.errors import UserError

MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


class BadMonth(UserError):
    code, status = "invalid_parameter", 400
    sentence = "A month looks like 2026-11."


@dataclass(frozen=True)
class Month:
    """From its first moment up to, not including, the first moment of the next."""

    start: datetime

    @property
    def end(self) -> datetime:
        return (self.start + timedelta(days=32)).replace(day=1)

    @property
    def previous(self) -> "Month":
        return Month((self.start - timedelta(days=1)).replace(day=1))

    @property
    def next(self) -> "Month | None":
        """The month after this one; None when that has not begun."""
        return Month(self.end) if self.end <= now() else None

    @property
    def code(self) -> str:
        return f"{self.start:%Y-%m}"

    @property
    def is_over(self) -> bool:
        return self.end <= now()

    def __str__(self) -> str:
        return f"{self.start:%B %Y}"


def start_of_day(moment: datetime) -> datetime:
    """Midnight (UTC) before a moment."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def month_of(moment: datetime) -> Month:
    """The month that a moment falls in."""
    return Month(start_of_day(moment).replace(day=1))


def this_month() -> Month:
    """The month we are in."""
    return month_of(now())


def parse_month(text: str | None) -> Month:
    """The month that "2026-11" names; this month for nothing. Raises BadMonth."""
    if not text:
        return this_month()
    match = MONTH.fullmatch(text)
    if match is None:
        raise BadMonth(param="month")
    return Month(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC))
