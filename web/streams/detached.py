"""Streams that outlive their request, so that they hold no thread and no database connection.

Django keeps a thread and a connection for a request until its answer has been sent. A view answers
with a DetachedResponse over an async generator; the middleware, outermost, takes the generator out
and lets Django end the request; `DetachedStreams` then sends what it yields, and closes it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.front.bodies import wait_for_disconnect
from web.front.middleware import SynchronousMiddleware

SCOPE_KEY = "lathe.stream"


class DetachedResponse(StreamingHttpResponse):
    """Sent after its request has ended. Without ASGI it is an ordinary streaming response."""

    def __init__(self, parts: AsyncGenerator[bytes, None], *, content_type: str) -> None:
        super().__init__(parts, content_type=content_type)
        # Django's `streaming_content` is another generator; closing that would not close this one.
        self.parts = parts


class _Handover:
    """Where the middleware leaves the generator of this request."""

    content: AsyncGenerator[bytes, None] | None = None


class DetachStreamsMiddleware(SynchronousMiddleware):
    """Must be the outermost middleware: what it lets go of is out of everybody's reach."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Django's hook: the answer's head alone; the answer itself where nobody would send the
        rest, as in tests."""
        handover = getattr(request, "scope", {}).get(SCOPE_KEY)
        if handover is None or not isinstance(response, DetachedResponse):
            return response
        handover.content = response.parts
        head = HttpResponse(status=response.status_code)
        head.headers, head.cookies = response.headers, response.cookies
        return head


@dataclass(eq=False)
class DetachedStreams:
    """Around the Django application: runs the streams that its requests leave behind."""

    _django: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handover, has_begun = _Handover(), False

        async def send_unless_detached(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if handover.content is None or message["type"] == "http.response.start":
                await send(message)

        await self._django({**scope, SCOPE_KEY: handover}, receive, send_unless_detached)
        if handover.content is None or not has_begun:  # Or the client left before it began.
            return
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
        else:
            await _send_until_disconnect(handover.content, receive, send)


async def _send_until_disconnect(
    content: AsyncGenerator[bytes, None], receive: Receive, send: Send
) -> None:
    sending = asyncio.ensure_future(_send_all(content, send))
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_all(content: AsyncGenerator[bytes, None], send: Send) -> None:
    async with contextlib.aclosing(content):
        async for part in content:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
