"""Durations in words, and the bounds of a job."""

import pytest

from training.errors import CannotLaunch
from training.jobs.limits import format_duration, require_within_limits
from training.models import ComputeClass

CPU = ComputeClass(code="cpu", name="CPU", time_limit_seconds=7200)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "90 s"), (119, "119 s"), (120, "2 min"), (3600, "1 h"), (5400, "1 h 30 min")],
)
def test_a_duration_is_told_as_people_do(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("priority", "seconds"), [(-10, 60), (10, 7200), (0, None)])
def test_limits_include_their_ends(priority, seconds):
    require_within_limits(priority, seconds, CPU)


@pytest.mark.parametrize(
    ("priority", "seconds", "param"),
    [
        (11, None, "priority"),
        (-11, None, "priority"),
        (0, 59, "time_limit_seconds"),
        (0, 7201, "time_limit_seconds"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(priority, seconds, param):
    with pytest.raises(CannotLaunch) as refusal:
        require_within_limits(priority, seconds, CPU)
    assert refusal.value.param == param
