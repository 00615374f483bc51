"""Hands /v1 inference to the models process, byte for byte, so that one base URL serves all.

It stands before Django, in config/asgi.py, and not behind a URL of it: Django would collect the
whole body first and take every request through each middleware, most of them in one shared thread.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings

from inference import passes
from web.api import error_body, type_for

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

PATHS = (
    "/v1/classify",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/models",
    "/v1/info",
)
ANSWER_SECONDS = 120.0
# Of one connection only (RFC 9110, 7.6.1); and what must not come from outside.
DROPPED = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"host",
    b"cookie",
    passes.HEADER.encode(),
}
_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient]" = WeakKeyDictionary()


class TooLarge(Exception):
    """The body grew beyond the limit while it was passed on."""


def with_inference(django: Application) -> Application:
    """The application that answers inference itself and leaves the rest to Django."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_inference(scope["path"]):
            await _pass_through(scope, receive, send)
        else:
            await django(scope, receive, send)

    return application


def _is_inference(path: str) -> bool:
    return path in PATHS or path.startswith("/v1/models/")


def _client() -> httpx.AsyncClient:
    """One per event loop, so that connections are kept alive and never cross loops."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(
            base_url=settings.MODELS_URL,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=2.0, pool=10.0),
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
            trust_env=False,
        )
    return _clients[loop]


async def _pass_through(scope: Message, receive: Receive, send: Send) -> None:
    has_begun = False

    async def noting_send(message: Mapping[str, Any]) -> None:
        nonlocal has_begun
        has_begun = True
        await send(message)

    client = _Client(receive, has_body=_has_body(scope))
    try:
        await _until_left(_exchange(scope, client, noting_send), client)
    except ClientLeft:
        return
    except (httpx.HTTPError, TooLarge) as error:
        # Half an answer cannot be taken back: raising makes the server close the connection.
        if has_begun:
            raise
        await _refuse(send, error)


class ClientLeft(Exception):
    """The client closed the connection."""


class _Client:
    """Who asks: the request's body, and then whether they are still there."""

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self._receive, self.has_body = receive, has_body
        self._is_read = asyncio.Event()
        if not has_body:
            self._is_read.set()

    async def body(self) -> AsyncIterator[bytes]:
        size = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientLeft
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > settings.MODELS_MAX_BODY_BYTES:
                raise TooLarge
            if part:
                yield part
            if not message.get("more_body", False):
                self._is_read.set()
                return

    async def left(self) -> None:
        """Returns once the client has closed the connection, after its body was read."""
        await self._is_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _until_left(exchange: Coroutine[Any, Any, None], client: _Client) -> None:
    """Break the exchange off when nobody waits for it any more: the models process then notices
    that we have left, and stops writing. Raises ClientLeft, or what the exchange raises."""
    answering, leaving = asyncio.ensure_future(exchange), asyncio.ensure_future(client.left())
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientLeft
        await answering
    finally:
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _exchange(scope: Message, client: _Client, send: Send) -> None:
    request = _client().build_request(
        scope["method"],
        _target(scope),
        headers=_kept(scope["headers"]),
        content=client.body() if client.has_body else None,
    )
    answer = await _client().send(request, stream=True)
    try:
        headers = _kept(answer.headers.raw)
        start = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
        await send(start)
        async for part in answer.aiter_raw():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await answer.aclose()


def _target(scope: Message) -> httpx.URL:
    """The same path and query, still escaped as they came."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    path = path.split(b"?")[0]
    query: bytes = scope.get("query_string", b"")
    raw_path = path + b"?" + query if query else path
    return httpx.URL(settings.MODELS_URL).copy_with(raw_path=raw_path)


def _kept(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in DROPPED]


def _has_body(scope: Message) -> bool:
    names = {name.lower() for name, _ in scope["headers"]}
    return bool(names & {b"content-length", b"transfer-encoding"})


async def _refuse(send: Send, error: Exception) -> None:
    if isinstance(error, TooLarge):
        status, code, sentence = 413, "request_too_large", "The body is too large."
    elif isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException):
        status, code = 503, "service_unavailable"
        sentence = "The models process does not answer at the moment. Try again in a moment."
    else:
        status, code = 502, "bad_gateway"
        sentence = "The models process did not give a whole answer. Try again in a moment."
    body = json.dumps(error_body(sentence, code=code, type_=type_for(status))).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", f"req_{secrets.token_hex(12)}".encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status >= 500:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
