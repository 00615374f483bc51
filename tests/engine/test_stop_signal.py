"""SIGTERM ends the job at once, or only sets a flag while a step must be finished."""

import os
import signal

import pytest

from engine.errors import StopRequested
from engine.stop_signal import StopSignal


@pytest.fixture
def stop():
    before = signal.getsignal(signal.SIGTERM)
    stop = StopSignal()
    stop.install_handler()
    yield stop
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_the_signal_raises_at_once(stop):
    with pytest.raises(StopRequested):
        terminate()
    assert stop.requested


def test_within_deferred_it_only_sets_the_flag(stop):
    with stop.deferred():
        terminate()
        assert stop.requested
    with pytest.raises(StopRequested):
        stop.raise_if_requested()


def test_after_deferred_it_raises_again(stop):
    with pytest.raises(ZeroDivisionError), stop.deferred():
        _ = 1 / 0
    with pytest.raises(StopRequested):
        terminate()


def test_ignored_it_does_nothing(stop):
    stop.ignore()
    terminate()
    assert not stop.requested
    stop.raise_if_requested()


def test_no_library_can_swallow_it():
    assert not issubclass(StopRequested, Exception)
