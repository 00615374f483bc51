"""Telling every process that a person's rights have changed: their live streams end at once.

Call `access_ended` in the transaction that ends the right. A stream that ends is opened again by
the page within seconds; the view then decides anew what this person may see.
"""

import hashlib
from collections.abc import Iterable

from web.sse import notify


def person_channel(person_id: int) -> str:
    """What the streams of this person listen to."""
    return f"access:person:{person_id}"


def session_channel(session_key: str) -> str:
    """What the streams of this session listen to; the key itself would let its reader sign in."""
    return f"access:session:{hashlib.sha256(session_key.encode()).hexdigest()[:32]}"


def access_ended(*, person_ids: Iterable[int] = (), session_key: str | None = None) -> None:
    """End the streams of these persons, or of one session, on every process at commit.

    For everything that takes a right away: a membership that ends or shrinks, a person who is
    deactivated, a password that changes, a session that ends.
    """
    channels = [person_channel(person_id) for person_id in person_ids]
    if session_key:
        channels.append(session_channel(session_key))
    if channels:
        notify(*channels)
