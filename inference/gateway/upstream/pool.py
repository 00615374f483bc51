"""The connections of one event loop to a models process, the warmest used first.

Last in, first out: as many stay busy as are needed, the others grow old and are closed.
"""

import asyncio
import ssl
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from inference.gateway.upstream.connection import (
    AnswerTooLate,
    ConnectionLost,
    NotConnected,
    UpstreamConnection,
    UpstreamError,
)

CONNECT_SECONDS = 2.0
# The server closes connections that are idle for 30 s; ours are closed well before, so that a
# request seldom meets one that is just being closed.
MAX_IDLE_SECONDS = 15.0
CHECK_SECONDS = 1.0  # How exactly deadlines and idle times are kept.
MAX_CONNECTIONS = 2048


class TooManyConnections(UpstreamError):
    """As many exchanges are under way as are allowed."""


class UpstreamPool:
    """Connections to one base URL. Used by one event loop only."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.host_header = parts.netloc.encode()
        is_https = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if is_https else 80)
        self._tls = ssl.create_default_context() if is_https else None
        self._idle: list[UpstreamConnection] = []
        self._busy: set[UpstreamConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, *, fresh: bool = False) -> tuple[UpstreamConnection, bool]:
        """A connection, and whether it has served before. Raises UpstreamError."""
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.is_reusable:
                self._busy.add(connection)
                return connection, True
        if len(self._busy) >= MAX_CONNECTIONS:
            raise TooManyConnections
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    UpstreamConnection, self._host, self._port, ssl=self._tls
                )
        except OSError as error:  # TimeoutError is one.
            raise NotConnected(str(error)) from error
        self._busy.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(CHECK_SECONDS, self._check)
        return connection, False

    def release(self, connection: UpstreamConnection) -> None:
        """Give a connection back: kept for the next request, or closed."""
        self._busy.discard(connection)
        if connection.is_reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.fail(ConnectionLost("of no more use"))

    def _check(self) -> None:
        """End exchanges whose time is up, and connections that nobody has needed for a while."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._busy):
            if connection.deadline and now > connection.deadline:
                connection.fail(AnswerTooLate("no answer in time"))
        still_idle = []
        for connection in self._idle:
            if connection.is_reusable and now - connection.idle_since < MAX_IDLE_SECONDS:
                still_idle.append(connection)
            else:
                connection.fail(ConnectionLost("idle"))
        self._idle = still_idle
        is_used = bool(self._idle or self._busy)
        self._timer = loop.call_later(CHECK_SECONDS, self._check) if is_used else None


_pools: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, UpstreamPool]]" = (
    WeakKeyDictionary()
)


def pool_for(base_url: str) -> UpstreamPool:
    """This event loop's pool for the URL."""
    pools = _pools.setdefault(asyncio.get_running_loop(), {})
    if base_url not in pools:
        pools[base_url] = UpstreamPool(base_url)
    return pools[base_url]
