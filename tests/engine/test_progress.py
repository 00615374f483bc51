"""Progress only rises, and the remaining time follows from the measured speed."""

import pytest

from engine import progress
from engine.events import PhaseStarted, Progress, Reporter, parse_event

PHASES = {"loading": 10.0, "training": 80.0, "saving": 10.0}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def events():
    return []


@pytest.fixture
def tracker(clock, events):
    class Everything(Reporter):
        def __call__(self, event) -> None:
            events.append(parse_event(event.model_dump_json()))

    tracker = progress.ProgressTracker(Everything(lambda _line: None), dict(PHASES))
    tracker._phase_started_at = clock.now
    return tracker


def last(events) -> Progress:
    return [event for event in events if isinstance(event, Progress)][-1]


def test_fractions_are_weighted_by_the_expected_seconds_of_each_phase(tracker, events):
    tracker.advance(0.5)
    assert last(events).fraction == pytest.approx(0.05)
    tracker.start_phase("training")
    assert last(events).fraction == pytest.approx(0.1)
    tracker.advance(0.25)
    assert last(events).fraction == pytest.approx(0.3)
    tracker.start_phase("saving")
    assert last(events).fraction == pytest.approx(0.9)
    tracker.finish()
    assert (last(events).fraction, last(events).eta_seconds) == (1.0, 0.0)
    assert [event.phase for event in events if isinstance(event, PhaseStarted)] == [
        "training",
        "saving",
    ]


def test_a_fraction_never_falls_even_when_a_phase_grows(tracker, events):
    tracker.start_phase("training")
    tracker.advance(0.9)
    before = last(events).fraction
    tracker.phase_seconds["training"] = 10_000.0
    tracker.advance(0.1)
    assert last(events).fraction == before


def test_shares_beyond_the_phase_are_clipped(tracker, events):
    tracker.advance(7.0)
    assert last(events).fraction == pytest.approx(0.1)
    tracker.advance(-1.0)
    assert last(events).fraction == pytest.approx(0.1)


def test_no_time_is_named_before_training_has_run_for_a_moment(tracker, clock, events):
    tracker.start_phase("training")
    clock.now += progress.MIN_SECONDS_FOR_ETA - 0.1
    tracker.advance(0.1)
    assert last(events).eta_seconds is None


def test_a_machine_of_half_the_speed_needs_twice_the_time(tracker, clock, events):
    tracker.start_phase("training")
    clock.now += 80.0
    tracker.advance(0.5)  # 40 reference seconds took 80.
    assert last(events).eta_seconds == pytest.approx(2 * (40 + 10))


def test_a_resumed_phase_measures_only_its_own_part(tracker, clock, events):
    tracker.start_phase("training", already_done=0.5)
    assert last(events).fraction == pytest.approx(0.5)
    clock.now += 10.0
    tracker.advance(0.75)  # A quarter, 20 reference seconds, took 10.
    assert last(events).eta_seconds == pytest.approx(0.5 * (20 + 10))


def test_other_phases_do_not_change_the_speed(tracker, clock, events):
    clock.now += 500.0
    tracker.advance(0.5)
    assert last(events).eta_seconds is None
