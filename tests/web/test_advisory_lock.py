"""One process at a time."""

import threading

import pytest
from django.db import connection, transaction

from web.advisory_lock import (
    advisory_lock_in_transaction,
    try_advisory_lock,
    try_advisory_lock_in_transaction,
)

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def test_only_one_is_inside_and_the_next_may_enter_afterwards():
    seen: list[bool] = []

    def look() -> None:
        with try_advisory_lock("test") as is_ours:
            seen.append(is_ours)
        connection.close()

    def elsewhere() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    with try_advisory_lock("test") as is_ours:
        assert is_ours
        elsewhere()
    elsewhere()
    assert seen == [False, True]


def test_who_dies_inside_frees_the_place():
    def die() -> None:
        with pytest.raises(ZeroDivisionError), try_advisory_lock("test"):
            _ = 1 / 0
        connection.close()

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    with try_advisory_lock("test") as is_ours:
        assert is_ours


def test_the_block_may_commit_and_roll_back_without_losing_the_lock():
    """As under a pooler in transaction mode: no session state is relied on."""
    with try_advisory_lock("test") as is_free:
        assert is_free
        with transaction.atomic():
            connection.cursor().execute("SELECT 1")
        with transaction.atomic():
            transaction.set_rollback(True)
        with try_advisory_lock("test") as is_free_again:
            assert not is_free_again
        with try_advisory_lock("another") as is_other_free:
            assert is_other_free


def test_a_lock_in_a_transaction_ends_with_it():
    with transaction.atomic():
        assert try_advisory_lock_in_transaction("test")
        with try_advisory_lock("test") as is_free:
            assert not is_free
    with try_advisory_lock("test") as is_free:
        assert is_free


def test_waiting_for_a_lock_in_a_transaction():
    order: list[str] = []
    held = threading.Event()

    def wait_for_it() -> None:
        held.wait()
        with transaction.atomic():
            advisory_lock_in_transaction("test")
            order.append("second")
        connection.close()

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    with transaction.atomic():
        advisory_lock_in_transaction("test")
        held.set()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
