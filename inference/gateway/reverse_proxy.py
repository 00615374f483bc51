"""Forwards /v1 inference to a models process, byte for byte, so that one base URL serves all.

It runs before Django, in config/front.py, and not behind one of its URLs: Django would take every
request through each middleware, most of them in a thread. A body is read whole before anything is
sent on, so that no slow client holds a place in the models process; answers are passed on as they
come. See docs/decisions on why this is an HTTP client of our own.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from inference.gateway import web_process
from inference.gateway.failures import BadTarget, TooManyBodies, error_response
from inference.gateway.inference_requests import (
    DROPPED_HEADERS,
    DROPPED_REQUEST_HEADERS,
    TARGET,
    is_inference_path,
)
from inference.gateway.upstream.balancer import models_balancer
from inference.gateway.upstream.connection import (
    ClientLeft,
    ConnectionLost,
    Headers,
    NotConnected,
    UpstreamConnection,
    UpstreamError,
)
from inference.gateway.upstream.pool import pool_for

ANSWER_SECONDS = 120.0  # Without a byte; a stream may last longer.
# A client is looked after only when its answer takes so long: most have it by then.
WATCH_AFTER_SECONDS = 0.05
MAX_HELD_BYTES = 512 * 1024**2  # Of all bodies that are held at once.


def with_inference_proxy(django: ASGIApp) -> ASGIApp:
    """The application that answers inference itself and leaves the rest to Django."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_inference_path(scope["path"]):
            await _proxy(scope, receive, send)
        else:
            await django(scope, receive, send)

    return application


async def _proxy(scope: Scope, receive: Receive, send: Send) -> None:
    exchange = _Exchange(scope, receive, send)
    try:
        await exchange.run()
    except ClientLeft:
        return
    except UpstreamError as error:
        # Half an answer cannot be taken back: raising makes the server close the connection.
        if exchange.has_begun:
            raise
        await error_response(error)(scope, receive, send)


_held_bytes = 0


@dataclass
class _Exchange:
    """One request on its way to the models process and back."""

    scope: Scope
    receive: Receive
    send: Send
    has_begun: bool = False
    has_received: bool = False  # Whether any byte of the answer came.
    is_reused: bool = False  # Whether the connection had served before.
    watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Raises UpstreamError; ClientLeft when there is nobody to answer any more."""
        global _held_bytes
        body = await self._read_body()
        _held_bytes += len(body)
        try:
            await self._forward(body)
        finally:
            _held_bytes -= len(body)

    async def _read_body(self) -> bytes:
        """The guard in front limits its size and its time."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientLeft
            part = message.get("body", b"")
            if not message.get("more_body", False):
                return b"".join([*parts, part]) if parts else part
            parts.append(part)
            size += len(part)
            if _held_bytes + size > MAX_HELD_BYTES:
                raise TooManyBodies

    async def _forward(self, body: bytes) -> None:
        """Ask one models process after another until one answers.

        What was sent is sent once more if no byte of the answer came: only then is it certain that
        this answers once. It is not sent again and again, because it may be what ends a process.
        """
        balancer, tried = models_balancer(), set[str]()
        failure, was_sent = ConnectionLost("MODELS_URL is empty"), False
        while (url := balancer.begin(tried)) is not None:
            is_away = False
            try:
                await self._ask(url, body, fresh=was_sent)
                return
            except NotConnected as error:
                is_away, failure = True, error
                tried.add(url)
            except ConnectionLost as error:
                if was_sent or self.has_received:
                    raise
                was_sent, failure = True, error
                if not self.is_reused:  # A server may close a kept one in the moment it is used.
                    tried.add(url)
            finally:
                balancer.end(url, is_away=is_away)
        raise failure

    async def _ask(self, url: str, body: bytes, *, fresh: bool) -> None:
        pool = pool_for(url)
        request = _request_bytes(self.scope, pool.host_header, body)
        connection, self.is_reused = await pool.acquire(fresh=fresh)
        try:
            await self._answer_from(connection, request)
        finally:
            self.has_received = connection.has_received
            pool.release(connection)

    async def _answer_from(self, connection: UpstreamConnection, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        watch = loop.call_later(WATCH_AFTER_SECONDS, self._watch_client, connection)
        try:
            is_head = self.scope["method"] == "HEAD"
            deadline = loop.time() + ANSWER_SECONDS
            await connection.exchange(request, is_head=is_head, deadline=deadline)
            await self._pass_on(connection, loop)
        finally:
            watch.cancel()
            if self.watching is not None:
                self.watching.cancel()

    async def _pass_on(
        self, connection: UpstreamConnection, loop: asyncio.AbstractEventLoop
    ) -> None:
        headers = _end_to_end(connection.headers, DROPPED_HEADERS)
        self.has_begun = True
        connection.deadline = 0.0  # It has no part in how slowly the client reads.
        await self.send(
            {"type": "http.response.start", "status": connection.status, "headers": headers}
        )
        while True:
            part = connection.take()
            if connection.is_complete:
                await self.send({"type": "http.response.body", "body": part})
                return
            if part:
                await self.send({"type": "http.response.body", "body": part, "more_body": True})
            connection.deadline = loop.time() + ANSWER_SECONDS
            await connection.wait_for_part()
            connection.deadline = 0.0

    def _watch_client(self, connection: UpstreamConnection) -> None:
        self.watching = asyncio.ensure_future(self._fail_when_client_leaves(connection))

    async def _fail_when_client_leaves(self, connection: UpstreamConnection) -> None:
        """The models process then notices that this process has left, and stops."""
        while (await self.receive())["type"] != "http.disconnect":
            pass
        connection.fail(ClientLeft())


def _request_bytes(scope: Scope, host: bytes, body: bytes) -> bytes:
    """The whole request. Raises BadTarget."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    target = path.partition(b"?")[0]  # Still escaped as it came.
    if query := scope.get("query_string", b""):
        target += b"?" + query
    if not TARGET.fullmatch(target):
        raise BadTarget
    lines = [
        b"%s %s HTTP/1.1" % (scope["method"].encode(), target),
        b"host: " + host,
        b"content-length: %d" % len(body),
        b"%s: %s" % (web_process.HEADER.encode(), web_process.proof()),
        *(b"%s: %s" % pair for pair in _end_to_end(scope["headers"], DROPPED_REQUEST_HEADERS)),
    ]
    return b"\r\n".join([*lines, b"", body])


def _end_to_end(headers: Iterable[tuple[bytes, bytes]], dropped: set[bytes]) -> Headers:
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]
