"""Working on through a restart of PostgreSQL."""

import pytest
from django.db import InterfaceError, OperationalError, connection

from web import db_retry
from web.db_retry import retry_on_disconnect


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.pauses = 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1


@pytest.fixture
def clock(monkeypatch, settings) -> Clock:
    settings.LEASE_SECONDS = 5
    clock = Clock()
    monkeypatch.setattr(db_retry, "time", clock)
    monkeypatch.setattr(connection, "close", lambda: None)
    monkeypatch.setattr(connection, "in_atomic_block", False)
    return clock


def failing(times: int, error: Exception):
    outcomes = [error] * times

    def act() -> str:
        if outcomes:
            raise outcomes.pop()
        return "done"

    return act


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_it_is_tried_until_the_database_is_back(clock, error):
    assert retry_on_disconnect(failing(3, error)) == "done"
    assert clock.pauses == 3


def test_it_gives_up_after_one_lease(clock):
    with pytest.raises(OperationalError):
        retry_on_disconnect(failing(100, OperationalError("gone")))
    assert 5 <= clock.now <= 7


def test_another_error_is_not_retried(clock):
    with pytest.raises(ValueError, match="ours"):
        retry_on_disconnect(failing(1, ValueError("ours")))
    assert clock.pauses == 0


def test_inside_a_transaction_nothing_is_retried(clock, monkeypatch):
    """The transaction is lost with the connection: only who opened it can begin again."""
    monkeypatch.setattr(connection, "in_atomic_block", True)
    with pytest.raises(OperationalError):
        retry_on_disconnect(failing(1, OperationalError("gone")))
    assert clock.pauses == 0
