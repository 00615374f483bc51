"""Live pages: PostgreSQL NOTIFY in, server-sent events out.

One LISTEN connection per process and event loop feeds every open stream. A notice carries only a
channel name; the page then asks for its fragment again, so a lost or merged notice loses nothing.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from django.http import StreamingHttpResponse

POSTGRES_CHANNEL = "lathe_live"
KEEPALIVE_SECONDS = 15.0  # Comments that keep proxies from closing a quiet stream.
MIN_GAP_SECONDS = 0.4  # At most this often per stream; bursts merge into one event.


def notify(*channels: str) -> None:
    """Wake every page that watches one of these channels, when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, channel) FROM unnest(%s::text[]) channel",
            [POSTGRES_CHANNEL, list(channels)],
        )


class Hub:
    """Fans one LISTEN connection out to the streams of this event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def watch(self, channel: str) -> Iterator[asyncio.Event]:
        """An event that is set at every notice for the channel."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.get_running_loop().create_task(self._listen())
        event = asyncio.Event()
        self._waiting[channel].add(event)
        try:
            yield event
        finally:
            self._waiting[channel].discard(event)
            if not self._waiting[channel]:
                del self._waiting[channel]

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(psycopg.OperationalError, OSError):
                await self._listen_once()
            self._wake_all()  # Something may have been missed while disconnected.
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        params = connection.get_connection_params()
        params.pop("cursor_factory", None)
        params.pop("context", None)
        async with await psycopg.AsyncConnection.connect(**params, autocommit=True) as listening:
            await listening.execute(f"LISTEN {POSTGRES_CHANNEL}")
            self._wake_all()
            async for notice in listening.notifies():
                for event in self._waiting.get(notice.payload, ()):
                    event.set()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def hub() -> Hub:
    """This event loop's hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


async def _events(channel: str) -> AsyncIterator[str]:
    with hub().watch(channel) as noticed:
        yield "retry: 1000\n\n"
        yield "event: update\ndata: now\n\n"
        while True:
            try:
                await asyncio.wait_for(noticed.wait(), KEEPALIVE_SECONDS)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            noticed.clear()
            yield "event: update\ndata: now\n\n"
            await asyncio.sleep(MIN_GAP_SECONDS)


def stream(channel: str) -> StreamingHttpResponse:
    """A text/event-stream that says "update" at once and whenever the channel is notified."""
    response = StreamingHttpResponse(_events(channel), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response
