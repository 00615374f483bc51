"""One connection to the models process: a request out, its answer in, then the next request.

RFC 9112. Parsed by httptools (llhttp). One request at a time; nothing is pipelined.
"""

import asyncio
from typing import cast

import httptools

Headers = list[tuple[bytes, bytes]]
MAX_BUFFERED_BYTES = 256 * 1024  # Of an answer whose reader is slow; then the sender has to wait.


class UpstreamError(Exception):
    """The exchange failed. The connection is of no more use."""


class ConnectionLost(UpstreamError):
    """The connection broke before the answer was whole."""


class NotConnected(ConnectionLost):
    """The connection could not be made: nothing was sent."""


class AnswerTooLate(UpstreamError):
    """Nothing came within the time allowed."""


class BadAnswer(UpstreamError):
    """What came is not HTTP."""


class ClientLeft(UpstreamError):
    """Whoever wanted the answer is gone."""


class UpstreamConnection(asyncio.Protocol):
    """Use: `exchange`, then `take` and `wait_for_part` in turn until `is_complete`.

    `deadline` is a time of the loop's clock, checked by the pool.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.is_complete = True  # Whether the last answer has come whole.
        self.has_received = False  # Whether any byte of the answer has come.
        self.deadline = 0.0
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._error: UpstreamError | None = None
        self._keeps_alive = True
        self._waiter: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._buffered = 0
        self._is_head = self._has_head = self._ends_with_close = False

    @property
    def is_reusable(self) -> bool:
        """Whether another request may follow."""
        return self.is_complete and self._keeps_alive and self._error is None

    async def exchange(self, request: bytes, *, is_head: bool, deadline: float) -> None:
        """Send a whole request; returns when the head of its answer has come, in `status` and
        `headers`. Raises UpstreamError."""
        self.status, self.headers, self.deadline = 0, [], deadline
        self.is_complete = self.has_received = self._has_head = self._ends_with_close = False
        self._is_head = is_head
        self._parser = httptools.HttpResponseParser(self)
        if self._error is not None or self._transport is None:
            raise self._error or ConnectionLost("not connected")
        self._transport.write(request)
        while not self._has_head:
            await self._wait()

    async def wait_for_part(self) -> None:
        """Return when there is more to take, or the answer is complete. Raises UpstreamError."""
        if not self._parts and not self.is_complete:
            await self._wait()

    def take(self) -> bytes:
        """What has come of the body so far; nothing is waited for."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        if self._buffered > MAX_BUFFERED_BYTES and self._transport is not None:
            self._transport.resume_reading()
        self._buffered = 0
        return data

    def fail(self, error: UpstreamError) -> None:
        """End the connection; waiting for the answer raises this error."""
        if self._error is None:
            self._error = error
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None and not (self.is_complete or self._parts):
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.is_complete:  # Bytes that nobody asked for.
            self._keeps_alive = False
            return
        self.has_received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_complete:
                self.fail(BadAnswer(str(error)))
            self._keeps_alive = False
        if self._buffered > MAX_BUFFERED_BYTES and self._transport is not None:
            self._transport.pause_reading()
        if self._has_head:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._keeps_alive = False
        if self._error is None:
            if not self.is_complete and self._ends_with_close and error is None:
                self.is_complete = True
            else:
                self._error = ConnectionLost(str(error or "closed"))
        self._wake()

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:  # Such as 100 Continue: the answer is still to come.
            self.headers = []
            return
        self._has_head = True
        self._keeps_alive = self._parser.should_keep_alive()
        names = {name for name, _ in self.headers}
        if self._is_head:
            self.is_complete = True
        elif self.status not in {204, 304} and not names & {
            b"content-length",
            b"transfer-encoding",
        }:
            self._ends_with_close = True

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._parts.append(data)
            self._buffered += len(data)

    def on_message_complete(self) -> None:
        if self._has_head:
            self.is_complete = True
