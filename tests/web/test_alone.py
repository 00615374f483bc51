"""One process at a time."""

import threading

import pytest
from django.db import connection

from web.alone import alone

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def test_only_one_is_inside_and_the_next_may_enter_afterwards():
    seen: list[bool] = []

    def look() -> None:
        with alone("test") as is_ours:
            seen.append(is_ours)
        connection.close()

    def elsewhere() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with alone("test") as is_ours:
        assert is_ours
        elsewhere()
    elsewhere()
    assert seen == [False, True]


def test_who_dies_inside_frees_the_place():
    def die() -> None:
        with pytest.raises(ZeroDivisionError), alone("test"):
            _ = 1 / 0
        connection.close()

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    with alone("test") as is_ours:
        assert is_ours
