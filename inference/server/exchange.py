"""One HTTP request and its answer over ASGI, as plainly as the protocol allows."""

import json
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from inference.server.refusals import Refusal, bad_request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientLeft(Exception):
    """The client closed the connection before its request or its answer was complete."""


class Exchange:
    """The request as it came, and what to say about the answer."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.started = time.perf_counter()
        self.id = f"classify-{uuid.uuid4().hex}"
        self.status = 0
        self.answer_headers: dict[str, str] = {}
        self._headers = {name.lower(): value for name, value in scope["headers"]}
        self._query: bytes = scope.get("query_string", b"")
        self._receive = receive
        self._send = send

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def header(self, name: str) -> str:
        value: bytes = self._headers.get(name.encode(), b"")
        return value.decode("latin-1")

    def query(self, name: str) -> str:
        """The parameter's first value, empty when absent."""
        found = parse_qs(self._query.decode("latin-1")).get(name, [""])
        return found[0]

    async def body(self, most_bytes: int) -> bytes:
        """The whole body. Raises Refusal (413) as soon as it is known to be too large."""
        declared = self.header("content-length")
        if declared and not declared.isdigit():
            raise bad_request("Content-Length must be a number.")
        if declared and int(declared[:20]) > most_bytes:
            raise too_large(most_bytes)
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientLeft
            part = message.get("body", b"")
            size += len(part)
            if size > most_bytes:
                raise too_large(most_bytes)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def left(self) -> None:
        """Returns once the client has closed the connection. The body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, content: Any, status: int = 200) -> None:
        """Send JSON."""
        await self.send(json.dumps(content, ensure_ascii=False).encode(), status)

    async def refuse(self, refusal: Refusal) -> None:
        self.answer_headers |= refusal.headers
        await self.send(refusal.body(), refusal.status)

    async def begin_events(self) -> None:
        """Start an answer of server-sent events."""
        self.status = 200
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "x-request-id": self.id,
            "x-content-type-options": "nosniff",
            **self.answer_headers,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": pairs})

    async def event(self, data: str, *, is_last: bool = False) -> None:
        body = f"data: {data}\n\n".encode()
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def send(
        self, body: bytes, status: int = 200, content_type: str = "application/json"
    ) -> None:
        self.status = status
        headers = {
            "content-type": content_type,
            "content-length": str(len(body)),
            "x-request-id": self.id,
            "openai-processing-ms": str(round(self.seconds * 1000)),
            "x-content-type-options": "nosniff",
            **self.answer_headers,
        }
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        body = b"" if self.method == "HEAD" else body
        await self._send({"type": "http.response.body", "body": body})


def too_large(most_bytes: int) -> Refusal:
    return Refusal(
        413, "request_too_large", f"The body is larger than {most_bytes // 1024**2} MiB."
    )
