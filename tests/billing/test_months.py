"""Calendar months in UTC, also for moments of other zones."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.months import BadMonth, Month, month_of, parse_month, start_of_day, this_month

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))


@given(MOMENTS)
def test_every_moment_lies_in_exactly_one_month(moment):
    month = month_of(moment)
    assert month.start <= moment < month.end
    assert month_of(month.end).start == month.end
    assert month.previous.end == month.start
    assert (month.end - month.start).days in {28, 29, 30, 31}


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_a_month_reads_back_from_its_code(moment):
    assert parse_month(month_of(moment).code) == month_of(moment)


@given(MOMENTS)
def test_a_day_begins_at_midnight_utc(moment):
    day = start_of_day(moment)
    assert timedelta() <= moment - day < timedelta(days=1)
    assert (day.hour, day.minute, day.second, day.microsecond) == (0, 0, 0, 0)


def test_a_moment_of_another_zone_counts_where_utc_has_it():
    tokyo = timezone(timedelta(hours=9))
    moment = datetime(2026, 12, 1, 3, 0, tzinfo=tokyo)  # 18:00 on 30 November in UTC.
    assert month_of(moment).code == "2026-11"
    assert start_of_day(moment) == datetime(2026, 11, 30, tzinfo=UTC)


def test_the_running_month_has_no_next_one_and_the_last_has():
    assert this_month().next is None
    assert not this_month().is_over
    assert this_month().previous.next == this_month()
    assert this_month().previous.is_over


def test_nothing_means_this_month():
    assert parse_month(None) == parse_month("") == this_month()


@pytest.mark.parametrize("code", ["2026-00", "2026-13", "26-11", "2026-11 ", "1999-11", "٢٠٢٦-11"])
def test_other_texts_are_no_month(code):
    with pytest.raises(BadMonth):
        parse_month(code)


def test_a_month_is_called_by_its_name():
    assert str(Month(datetime(2026, 11, 1, tzinfo=UTC))) == "November 2026"
