"""Kept-alive connections to the models processes; each carries one exchange at a time."""

import asyncio
import ssl
from collections.abc import Collection
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from inference.gateway.upstream.balancer import Balancer
from inference.gateway.upstream.connection import (
    BadAnswer,
    ConnectionLost,
    NotConnected,
    UpstreamError,
)

CONNECT_SECONDS = 2.0
MAX_IDLE_SECONDS = 15.0  # The server closes them after 30.


class Asker(Protocol):
    """Who is told of the answer to one request."""

    def pass_on(self, data: bytes) -> None:
        """The next bytes of the answer, as they came."""

    def end_exchange(self, *, is_reusable: bool) -> None:
        """The answer is whole; without `is_reusable` its connection ends with it."""

    def fail_exchange(self, error: UpstreamError) -> None:
        """There is no answer, or no more of it."""


class ModelsPools:
    """The connections to all models processes; `choose` names the one that answers next."""

    def __init__(self, *urls: str) -> None:
        self._balancer = Balancer(urls)
        self._pools = {url: ModelsPool(url) for url in urls}

    def choose(self, tried: Collection[str]) -> "ModelsPool | None":
        """Begin a request there, until `leave`; None when all were tried."""
        url = self._balancer.begin(tried)
        return None if url is None else self._pools[url]

    def leave(self, pool: "ModelsPool", *, is_away: bool = False) -> None:
        self._balancer.end(pool.url, is_away=is_away)

    def close_idle(self, now: float) -> None:
        for pool in self._pools.values():
            pool.close_idle(now)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class ModelsPool:
    """Connections to one base URL, the one used last first."""

    def __init__(self, base_url: str) -> None:
        self.url = base_url
        parts = urlsplit(base_url)
        is_https = parts.scheme == "https"
        self.host_header = parts.netloc.encode()
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if is_https else 80)
        self._tls = ssl.create_default_context() if is_https else None
        self._idle: list[ModelsConnection] = []

    def take_idle(self) -> "ModelsConnection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        return None

    async def connect(self) -> "ModelsConnection":
        """A new connection. Raises UpstreamError."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: ModelsConnection(self), self._host, self._port, ssl=self._tls
                )
        except OSError as error:  # TimeoutError is one.
            raise NotConnected(str(error)) from error
        return connection

    def keep(self, connection: "ModelsConnection") -> None:
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close_idle(self, now: float) -> None:
        still_idle = []
        for connection in self._idle:
            if connection.is_closing or now - connection.idle_since > MAX_IDLE_SECONDS:
                connection.abort()
            else:
                still_idle.append(connection)
        self._idle = still_idle

    def close(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle = []


class ModelsConnection(asyncio.Protocol):
    """Passes answers on as they come; the parser only finds their ends."""

    def __init__(self, pool: ModelsPool) -> None:
        self.idle_since = 0.0
        self._pool = pool
        self._asker: Asker | None = None
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._is_final = self._is_complete = self._keeps_alive = self._has_stray_bytes = False

    @property
    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def ask(self, asker: Asker, request: bytes) -> None:
        self._asker = asker
        self._is_final = self._is_complete = False
        self._transport.write(request)

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        """Nobody wants the answer any more: the models process notices, and stops."""
        self._asker = None
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        asker = self._asker
        if asker is None:  # Bytes that nobody asked for.
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.abort()
            asker.fail_exchange(BadAnswer(str(error)))
            return
        asker.pass_on(data)
        if self._is_complete:
            self._asker = None
            self._transport.resume_reading()  # A slow client may have paused it.
            # Bytes behind an answer would be read as the answer to whoever asks next.
            is_reusable = self._keeps_alive and not self._has_stray_bytes
            if is_reusable:
                self._pool.keep(self)
            else:
                self._transport.close()
            asker.end_exchange(is_reusable=is_reusable)

    def connection_lost(self, error: Exception | None) -> None:
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.fail_exchange(ConnectionLost(str(error or "closed")))

    # httptools

    def on_message_begin(self) -> None:
        self._has_stray_bytes |= self._is_complete

    def on_headers_complete(self) -> None:
        self._is_final = self._parser.get_status_code() >= 200
        self._keeps_alive = bool(self._parser.should_keep_alive())

    def on_message_complete(self) -> None:
        self._is_complete = self._is_final
