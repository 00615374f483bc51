"""PostgreSQL's NOTIFY: telling every process that something changed, and hearing of it.

One LISTEN connection per process and event loop feeds every open stream (web.streams). A
notification carries only a channel name; the page then fetches its fragment again, so a merged one
loses nothing.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection

logger = logging.getLogger(__name__)

POSTGRES_CHANNEL = "lathe_live"
RECONNECT_SECONDS = 1.0  # Between a lost LISTEN connection and the next one.


def notify(*channels: str) -> None:
    """Refresh every page that listens to one of these channels, when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, channel) FROM unnest(%s::text[]) channel",
            [POSTGRES_CHANNEL, list(channels)],
        )


def connection_params() -> dict[str, Any]:
    """How Django reaches the database, as psycopg's own parameters."""
    params: dict[str, Any] = connection.get_connection_params()
    own_to_django = {"cursor_factory", "context"}
    return {name: value for name, value in params.items() if name not in own_to_django}


async def listen(
    on_notify: Callable[[str], None],
    on_gap: Callable[[], None],
    on_reconnect: Callable[[], None] = lambda: None,
) -> None:
    """Call `on_notify` with the payload of every notice, for ever.

    `on_gap` is called whenever notices may have been missed: each time the connection has been
    made or lost; `on_reconnect` when it has been made again.
    """
    has_listened = False
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                **connection_params(), autocommit=True
            ) as listening:
                await listening.execute(f"LISTEN {POSTGRES_CHANNEL}")
                on_gap()
                if has_listened:
                    on_reconnect()
                has_listened = True
                async for notice in listening.notifies():
                    on_notify(notice.payload)
        except (psycopg.OperationalError, OSError) as error:
            logger.warning("The database's notices are interrupted; listening again: %s", error)
        on_gap()
        await asyncio.sleep(RECONNECT_SECONDS)


class Wakeable(Protocol):
    """What a notice sets, such as an asyncio.Event."""

    def set(self) -> None: ...


@dataclass(eq=False)
class Ending:
    """Set by the first notice on its channels; it then sets the event that its stream awaits."""

    _event: asyncio.Event
    has_come: bool = False

    def set(self) -> None:
        self.has_come = True
        self._event.set()


@dataclass(eq=False)
class NotifyHub:
    """Fans one LISTEN connection out to the streams of this event loop."""

    _subscribers: dict[str, set[Wakeable]] = field(default_factory=lambda: defaultdict(set))
    _listener: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def subscribe(self, channel: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the channel is notified."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.get_running_loop().create_task(
                listen(
                    self._notify,
                    partial(self._set_all, asyncio.Event),
                    partial(self._set_all, Ending),
                )
            )
        event = asyncio.Event()
        with self._subscribed(channel, event):
            yield event

    @contextlib.contextmanager
    def subscribe_ending(self, channels: Iterable[str], event: asyncio.Event) -> Iterator[Ending]:
        """An Ending that comes with any of these channels; also when notices may have been missed,
        once PostgreSQL is back: a right that ended meanwhile was not heard of."""
        ending = Ending(event)
        with contextlib.ExitStack() as subscriptions:
            for channel in channels:
                subscriptions.enter_context(self._subscribed(channel, ending))
            yield ending

    @contextlib.contextmanager
    def _subscribed(self, channel: str, subscriber: Wakeable) -> Iterator[None]:
        self._subscribers[channel].add(subscriber)
        try:
            yield
        finally:
            self._subscribers[channel].discard(subscriber)
            if not self._subscribers[channel]:
                del self._subscribers[channel]

    def _notify(self, channel: str) -> None:
        for subscriber in self._subscribers.get(channel, ()):
            subscriber.set()

    def _set_all(self, kind: type[asyncio.Event] | type[Ending]) -> None:
        """Wake all streams, or end them."""
        subscribers = [one for several in self._subscribers.values() for one in several]
        for subscriber in subscribers:
            if isinstance(subscriber, kind):
                subscriber.set()


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, NotifyHub]" = WeakKeyDictionary()


def get_hub() -> NotifyHub:
    """This event loop's hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), NotifyHub())
