"""Opening hours: read from lines, shown to visitors, and asked at a moment."""

from datetime import UTC, datetime

import pytest

from assistants.models import Assistant
from assistants.people.opening_hours import describe_hours, format_hours, is_open, parse_hours

WEEK = "mon-fri 9:00-17:00\nSAT 10:00 – 14:00"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_lines_are_read_and_written_alike():
    hours = parse_hours(WEEK)
    assert hours["fri"] == ["09:00", "17:00"]
    assert "sun" not in hours
    lines = format_hours(hours)
    assert lines == ["mon-fri 09:00-17:00", "sat 10:00-14:00"]
    assert parse_hours("\n".join(lines)) == hours
    assert parse_hours(" \n") == {}
    assert set(parse_hours("fri-mon 08:00-24:00")) == {"fri", "sat", "sun", "mon"}
    assert format_hours(parse_hours("tue 08:00-09:00\nthu 08:00-09:00")) == [
        "tue 08:00-09:00",
        "thu 08:00-09:00",
    ]


@pytest.mark.parametrize(
    "text",
    ["monday 9-5", "mon 17:00-09:00", "mon 09:00-09:00", "xyz 09:00-17:00", "mon-xyz 09:00-10:00",
     "mon 09:60-10:00", "mon 25:00-26:00", "mon 09:00-24:01", "mon"],
)  # fmt: skip
def test_what_is_no_line_is_named(text):
    with pytest.raises(ValueError, match=r"mon-fri 09:00-17:00|time of a day|end later"):
        parse_hours(text)


def test_visitors_read_them_in_their_language():
    open_week = Assistant(opening_hours=parse_hours(WEEK), time_zone="Asia/Shanghai")
    assert describe_hours(open_week, "en") == (
        "Mon–Fri 09:00–17:00, Sat 10:00–14:00 (Asia/Shanghai)"
    )
    assert describe_hours(open_week, "zh") == (
        "周一至周五 09:00–17:00，周六 10:00–14:00（Asia/Shanghai）"
    )
    assert describe_hours(Assistant(), "fr") == "at any time"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("2026-11-30T08:59", False), ("2026-11-30T09:00", True), ("2026-11-30T16:59", True),
     ("2026-11-30T17:00", False), ("2026-12-05T12:00", True), ("2026-12-06T12:00", False)],
)  # fmt: skip
def test_people_are_there_within_them(moment, expected):
    assistant = Assistant(opening_hours=parse_hours(WEEK), time_zone="UTC")
    assert is_open(assistant, at(moment)) == expected
    berlin = Assistant(opening_hours=parse_hours("mon 09:00-10:00"), time_zone="Europe/Berlin")
    assert is_open(berlin, at("2026-11-30T08:30"))
    assert not is_open(berlin, at("2026-11-30T09:30"))
