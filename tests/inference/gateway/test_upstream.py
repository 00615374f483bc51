"""The client's half of HTTP/1.1: every way an answer can come, break off, or not come at all."""

import asyncio
import json

import httpx
import pytest

from inference.gateway import reverse_proxy
from inference.gateway.reverse_proxy import with_inference_proxy
from inference.gateway.upstream import pool as pools
from tests.inference.gateway.test_reverse_proxy import django_stands_here
from tests.inference.processes import free_port

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Upstream:
    """A server that answers each request with the next of these bytes; `None` closes at once."""

    def __init__(self, *answers: bytes | None, then_close: bool = False) -> None:
        self.answers, self.then_close = list(answers), then_close
        self.connections, self.requests = 0, []

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                for part in answer.split(b"|"):  # Bytes that come in packets of their own.
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if self.then_close:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def talk(settings, upstream, *requests, port=None):
    """The answers to these (method, path, body) in turn, through one pool."""
    port = port or free_port()
    settings.MODELS_URL = f"http://127.0.0.1:{port}"

    async def whole():
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
        transport = httpx.ASGITransport(
            with_inference_proxy(django_stands_here), raise_app_exceptions=False
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            answers = [
                await client.request(method, path, content=body) for method, path, body in requests
            ]
        server.close()
        return answers

    return asyncio.run(whole())


GET = ("GET", "/v1/models", b"")
POST = ("POST", "/v1/classify", b'{"input": "x"}')


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (WHOLE, 200, b"{}"),
        (b"HTTP/1.1 200 OK\r\ncontent-len|gth: 2\r\n\r\n{|}", 200, b"{}"),
        (CHUNKED + b"2\r\n{}\r\n|1\r\n!\r\n0\r\n\r\n", 200, b"{}!"),
        (b"HTTP/1.1 100 Continue\r\n\r\n|" + WHOLE, 200, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", 401, b""),
    ],
)
def test_an_answer_passes_as_it_came_and_its_connection_serves_again(
    settings, answer, status, body
):
    upstream = Upstream(answer, WHOLE)
    first, second = talk(settings, upstream, POST, GET)
    assert (first.status_code, first.content) == (status, body)
    assert (second.status_code, second.content) == (200, b"{}")
    assert upstream.connections == 1
    assert upstream.requests[0].endswith(b'\r\n\r\n{"input": "x"}')


def test_an_answer_without_a_length_ends_with_its_connection(settings):
    upstream = Upstream(b"HTTP/1.1 200 OK\r\n\r\nall| of it", WHOLE, then_close=True)
    first, second = talk(settings, upstream, GET, GET)
    assert (first.content, second.content) == (b"all of it", b"{}")
    assert upstream.connections == 2


def test_head_has_no_body_whatever_length_it_declares(settings):
    upstream = Upstream(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", WHOLE)
    first, second = talk(settings, upstream, ("HEAD", "/v1/models", b""), GET)
    assert (first.status_code, first.headers["content-length"]) == (200, "500")
    assert second.content == b"{}"


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_unseen(settings):
    upstream = Upstream(WHOLE, None, WHOLE)
    answers = talk(settings, upstream, POST, POST)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(upstream.requests) == 3


def test_nothing_is_asked_twice_once_a_byte_of_the_answer_came(settings):
    upstream = Upstream()

    async def break_off_the_second(reader, writer):
        for answer in (WHOLE, b"HTTP/1.1 2"):
            upstream.requests.append(await reader.readuntil(b"}"))
            writer.write(answer)
            await writer.drain()
        writer.close()

    upstream.serve = break_off_the_second
    answers = talk(settings, upstream, POST, POST)
    assert [answer.status_code for answer in answers] == [200, 503]
    assert len(upstream.requests) == 2


def test_a_fresh_connection_that_breaks_is_503_and_not_asked_again(settings):
    upstream = Upstream(None, WHOLE)
    (answer,) = talk(settings, upstream, POST)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert len(upstream.requests) == 1


def test_what_is_no_http_is_502(settings):
    (answer,) = talk(settings, Upstream(b"SSH-2.0-OpenSSH\r\n\r\n"), POST)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "bad_gateway")


def test_an_answer_that_does_not_come_in_time_is_502(settings, monkeypatch):
    monkeypatch.setattr(reverse_proxy, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(pools, "CHECK_SECONDS", 0.02)
    silent = Upstream(b"")
    (answer,) = talk(settings, silent, POST)
    assert answer.status_code == 502


def test_an_idle_connection_is_closed_after_a_while(settings, monkeypatch):
    monkeypatch.setattr(pools, "MAX_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(pools, "CHECK_SECONDS", 0.02)
    port, closed = free_port(), asyncio.Event()
    settings.MODELS_URL = f"http://127.0.0.1:{port}"

    async def answer_and_wait(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        assert await reader.read() == b""
        closed.set()
        writer.close()

    async def whole():
        server = await asyncio.start_server(answer_and_wait, "127.0.0.1", port)
        transport = httpx.ASGITransport(with_inference_proxy(django_stands_here))
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            assert (await client.get("/v1/models")).status_code == 200
            await asyncio.wait_for(closed.wait(), 10)
        server.close()

    asyncio.run(whole())


def test_the_warmest_connection_is_used_first_and_only_as_many_as_needed(settings):
    port = free_port()
    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    upstream = Upstream(*[WHOLE] * 40)

    async def whole():
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
        transport = httpx.ASGITransport(with_inference_proxy(django_stands_here))
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            await asyncio.gather(*(client.get("/v1/models") for _ in range(8)))
            at_once = upstream.connections
            for _ in range(10):
                await client.get("/v1/models")
        server.close()
        return at_once

    assert asyncio.run(whole()) == upstream.connections <= 8


def test_a_half_sent_body_reaches_nobody(settings):
    port = free_port()
    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    upstream = Upstream(WHOLE)

    async def whole():
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
        parts = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive():
            await asyncio.sleep(0.02)
            return parts.pop() if parts else {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError("there is nobody to answer")

        scope = {"type": "http", "method": "POST", "path": "/v1/classify", "headers": []}
        await with_inference_proxy(django_stands_here)(scope, receive, send)
        server.close()

    asyncio.run(whole())
    assert upstream.connections == 0


def test_a_stream_passes_part_by_part_as_it_comes(settings):
    port = free_port()
    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    seen = []

    async def dribble(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n")
        for n in range(3):
            while len(seen) < n:
                await asyncio.sleep(0.005)
            writer.write(b"9\r\ndata: %d\n\n\r\n" % n)
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        writer.close()

    async def whole():
        server = await asyncio.start_server(dribble, "127.0.0.1", port)
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            return await asyncio.sleep(60)

        async def send(message):
            if message.get("body"):
                seen.append(message["body"])

        scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": []}
        async with asyncio.timeout(20):
            await with_inference_proxy(django_stands_here)(scope, receive, send)
        server.close()

    asyncio.run(whole())
    assert seen == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_an_address_that_no_request_line_can_hold_is_400(settings):
    sent = []
    settings.MODELS_URL = f"http://127.0.0.1:{free_port()}"

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/v1/models/a b\r\nx: y", "headers": [],
    }  # fmt: skip
    asyncio.run(with_inference_proxy(django_stands_here)(scope, receive, send))
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["error"]["message"]
