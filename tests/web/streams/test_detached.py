"""Streams leave Django's request: it has ended before the first part is sent."""

import asyncio

import pytest
from django.http import HttpResponse

from web.streams.detached import (
    SCOPE_KEY,
    DetachedResponse,
    DetachedStreams,
    DetachStreamsMiddleware,
)


class Request:
    def __init__(self, scope):
        self.scope = scope


def run(view, *, method="GET", leaves_after=None):
    """The messages sent, among them when Django's own call had returned."""
    sent = []

    async def django(scope, receive, send):
        response = DetachStreamsMiddleware(lambda request: view())(Request(scope))
        headers = [(k.encode(), v.encode()) for k, v in response.items()]
        start = {"type": "http.response.start", "status": response.status_code}
        await send(start | {"headers": headers})
        if response.streaming:
            async for part in response:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        body = b"" if response.streaming else response.content
        await send({"type": "http.response.body", "body": body})
        sent.append("django has ended")

    async def scenario():
        has_left = asyncio.Event()

        async def receive():
            await has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message.get("body", message.get("status")))
            if len(sent) == leaves_after:
                has_left.set()

        scope = {"type": "http", "method": method, "path": "/"}
        async with asyncio.timeout(10):
            await DetachedStreams(django)(scope, receive, send)
        assert SCOPE_KEY not in scope

    asyncio.run(scenario())
    return sent


async def parts(count=2, closed=None):
    try:
        for n in range(count):
            yield b"part %d" % n
            await asyncio.sleep(0)
    finally:
        if closed is not None:
            closed.append(True)


def test_an_async_stream_is_sent_after_django_has_ended():
    assert run(lambda: DetachedResponse(parts(), content_type="x/y")) == [
        200, "django has ended", b"part 0", b"part 1", b"",
    ]  # fmt: skip


def test_ordinary_answers_pass():
    assert run(lambda: HttpResponse(b"whole", status=201)) == [201, b"whole", "django has ended"]


def test_head_runs_no_stream():
    closed = []
    run(lambda: DetachedResponse(parts(closed=closed), content_type="x/y"), method="HEAD")
    assert closed == []


def test_a_client_that_leaves_ends_the_stream():
    closed = []
    sent = run(lambda: DetachedResponse(parts(10**9, closed), content_type="x/y"), leaves_after=5)
    assert len(sent) < 100
    assert closed == [True]


def test_a_stream_that_breaks_is_not_passed_off_as_whole():
    async def broken():
        yield b"half"
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        run(lambda: DetachedResponse(broken(), content_type="x/y"))
