"""Few passwords are hashed at once, and the hashes are Django's."""

import threading

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from accounts.sign_in import password_hashing
from accounts.sign_in.password_hashing import (
    HASHES_AT_ONCE,
    BoundedArgon2PasswordHasher,
    TooManySignIns,
)


class Counting(BoundedArgon2PasswordHasher):
    """Cheap parameters: the bound is tested, not the cost."""

    time_cost, memory_cost, parallelism = 1, 64, 1


def test_its_hashes_are_djangos():
    encoded = Counting().encode("correct horse", "some-salt-of-ours")
    assert Argon2PasswordHasher().verify("correct horse", encoded)
    assert not Counting().verify("wrong horse", encoded)
    assert BoundedArgon2PasswordHasher.algorithm == "argon2"


def test_no_more_are_hashed_at_once_than_allowed(monkeypatch):
    running, most, entered = 0, 0, threading.Barrier(HASHES_AT_ONCE)
    lock = threading.Lock()

    def slow(self, password, salt):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        entered.wait(20)  # Passes only when as many as allowed are inside.
        with lock:
            running -= 1
        return "hash"

    monkeypatch.setattr(Argon2PasswordHasher, "encode", slow)
    threads = [
        threading.Thread(target=Counting().encode, args=("p", "s"))
        for _ in range(4 * HASHES_AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == HASHES_AT_ONCE


def test_who_waits_too_long_is_told_to_come_back(monkeypatch):
    monkeypatch.setattr(password_hashing, "WAIT_SECONDS", 0.05)
    with password_hashing._slot(), password_hashing._slot(), pytest.raises(TooManySignIns) as told:
        Counting().verify("p", "argon2$…")
    assert (told.value.status, told.value.retry_after_seconds) == (503, 5)
