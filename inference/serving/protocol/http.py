"""What the routes of the models process share: the request's id and clock, bodies and answers."""

import time
import uuid
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from inference.serving.protocol.errors import ApiError, bad_request

SCOPE_KEY = "lathe.request"
CLIENT_CLOSED_REQUEST = 499  # Never sent, for there is nobody to send it to; as nginx logs it.
# The first part of an answer's id, by route, as OpenAI's and vLLM's clients expect it.
ID_PREFIXES = {
    "/v1/chat/completions": "chatcmpl",
    "/v1/completions": "cmpl",
    "/v1/embeddings": "embd",
    "/v1/responses": "resp",
}


@dataclass(slots=True)
class RequestInfo:
    """The id that answers, logs and headers name, and the clock of one request."""

    id: str
    status: int = 0  # Of the answer, once it has begun.
    started: float = field(default_factory=time.perf_counter)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)  # Also of the answer.

    @classmethod
    def begin(cls, path: str) -> "RequestInfo":
        return cls(f"{ID_PREFIXES.get(path, 'classify')}-{uuid.uuid4().hex}")

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def note_start(self, message: Message) -> None:
        """Keep the status of an answer that starts, and add the headers that every answer has."""
        self.status = message["status"]
        message["headers"] = [
            *message["headers"],
            *self.headers,
            (b"x-request-id", self.id.encode()),
            (b"openai-processing-ms", str(round(self.seconds * 1000)).encode()),
            (b"x-content-type-options", b"nosniff"),
        ]


def info_of(request: Request) -> RequestInfo:
    info: RequestInfo = request.scope[SCOPE_KEY]
    return info


class JsonResponse(Response):
    """JSON by orjson: an answer may hold thousands of rows."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


class EventStreamResponse(StreamingResponse):
    """Server-sent events: the first, which must exist before the answer begins, and the rest.

    The generator of the rest itself notices that the client has left, and is always closed.
    Starlette would read the connection for that too, and of two readers each misses messages.
    """

    media_type = "text/event-stream"

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes], headers: dict[str, str]) -> None:
        fixed = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(rest, headers=fixed | headers)
        self._first, self._rest = first, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for part in self._rest:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def event(content: object) -> bytes:
    """One server-sent event with this JSON."""
    return b"data: " + orjson.dumps(content) + b"\n\n"


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, unpacked if it is gzip. Raises ApiError (413) as soon as it is known to be
    too large, packed or unpacked, and ApiError (415) for other encodings."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise ApiError(
            415,
            "unsupported_encoding",
            f"A body with Content-Encoding {encoding[:40]!r} is not read here. Send it plain or as"
            " gzip.",
            headers={"accept-encoding": "gzip"},
        )
    declared = request.headers.get("content-length", "")
    if declared and not declared.isdigit():
        raise bad_request("Content-Length must be a number.")
    if declared and int(declared[:20]) > max_bytes:
        raise body_too_large(max_bytes)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise body_too_large(max_bytes)
        parts.append(part)
    body = b"".join(parts)
    return _unpack_gzip(body, max_bytes) if encoding == "gzip" else body


def _unpack_gzip(body: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        raise bad_request("The body is said to be gzip, and is not.") from None
    if len(content) > max_bytes:
        raise body_too_large(max_bytes)
    if not unpacker.eof or unpacker.unused_data:
        raise bad_request("The body is said to be gzip, and is cut off or has a rest.")
    return content


def body_too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413, "request_too_large", f"The body is larger than {max_bytes // 1024**2} MiB."
    )
