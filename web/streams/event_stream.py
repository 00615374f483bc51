"""Live pages: server-sent events that say "update", whereupon the page fetches its fragment.

A stream costs a coroutine: no thread and no database connection (see web.streams.detached).
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from web.errors import UserError
from web.sse import get_hub
from web.streams.access import person_channel, session_channel
from web.streams.detached import DetachedResponse

KEEPALIVE_SECONDS = 15.0  # Comments that keep proxies from closing a quiet stream.
MIN_EVENT_INTERVAL_SECONDS = 0.4  # At most this often per stream; bursts merge into one event.
# A stream then ends and the page opens it anew: rights that ended without a word count by then.
MAX_SECONDS = 15 * 60.0
UPDATE = b"event: update\ndata: now\n\n"
KEEPALIVE = b": still here\n\n"

_open_by_person: Counter[int] = Counter()


class TooManyStreams(UserError):
    code, status = "rate_limit_exceeded", 429
    sentence = "Too many pages of yours are live at once. Close some, then reload this one."
    retry_after_seconds = 10


def event_stream_response(
    request: HttpRequest, user: AbstractBaseUser | AnonymousUser, channel: str
) -> DetachedResponse:
    """A text/event-stream that says "update" at once and whenever the channel is notified.

    It ends within a second when the person's rights or the session end (web.streams.access).
    Raises TooManyStreams above STREAMS_PER_PERSON in this process.
    """
    person_id = int(user.pk or 0)  # Views let nobody else get here: 0 is a guest.
    endings = [person_channel(person_id)]
    if session_key := request.session.session_key:
        endings.append(session_channel(session_key))
    return _respond(person_id, channel, endings)


def visitor_stream_response(visitor_id: int, channel: str) -> DetachedResponse:
    """The same for a visitor of a customer's site, who has no session and no rights that end.

    `visitor_id`: from 1 on. Raises TooManyStreams above STREAMS_PER_PERSON, as for a person.
    """
    return _respond(-visitor_id, channel, [])  # Negative: no person has such a number.


def _respond(person_id: int, channel: str, endings: list[str]) -> DetachedResponse:
    if _open_by_person[person_id] >= settings.STREAMS_PER_PERSON:
        raise TooManyStreams
    events = _limited(person_id, _event_stream(channel, endings))
    response = DetachedResponse(events, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _limited(
    person_id: int, events: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Counted while it runs; of many asked for in one moment, the surplus ends at once."""
    if _open_by_person[person_id] >= settings.STREAMS_PER_PERSON:
        yield b"retry: 30000\n\n"
        return
    _open_by_person[person_id] += 1
    try:
        async with aclosing(events):
            async for event in events:
                yield event
    finally:
        _open_by_person[person_id] -= 1
        if not _open_by_person[person_id]:
            del _open_by_person[person_id]


async def _event_stream(channel: str, endings: list[str]) -> AsyncGenerator[bytes, None]:
    # Spread, so that pages do not all come back in one moment when PostgreSQL does.
    ends_at = time.monotonic() + MAX_SECONDS * random.uniform(0.8, 1.2)
    hub = get_hub()
    with hub.subscribe(channel) as notified, hub.subscribe_ending(endings, notified) as ending:
        yield b"retry: %d\n\n" % random.randint(500, 1500)
        yield UPDATE
        while not ending.has_come and time.monotonic() < ends_at:
            try:
                async with asyncio.timeout(KEEPALIVE_SECONDS):
                    await notified.wait()
            except TimeoutError:
                yield KEEPALIVE
                continue
            notified.clear()
            if not ending.has_come:
                yield UPDATE
                await asyncio.sleep(MIN_EVENT_INTERVAL_SECONDS)
