"""What goes straight to the models process, what the web process judges, and what fails how."""

import asyncio
import contextlib
import json

import pytest
import uvloop

from config.front_proxy import client, proxy, state
from config.front_proxy.models import ModelsPools
from inference.gateway import client_address, internal_token, web_process
from tests.config.front_proxy.behind import (
    OK,
    WEB,
    Server,
    answer_from,
    behind_the_front,
    ended,
    post,
    read_request,
)

ASK = post("/v1/classify", b'{"model": "a", "input": "b"}')


def headers_of(request: bytes) -> dict[bytes, bytes]:
    lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}


def test_inference_goes_to_the_models_process_on_kept_connections():
    models = Server()

    async def talk(wire):
        reader, writer = await wire.connect()
        for _ in range(3):
            writer.write(ASK)
            assert await answer_from(reader) == OK

    behind_the_front(talk, models=models)
    assert models.connections == 1
    request = models.requests[0]
    assert request.startswith(b"POST /v1/classify HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"model": "a", "input": "b"}')


def test_the_web_process_may_be_another_machine():
    web = Server(WEB)

    async def whole():
        server = await asyncio.start_server(web, "127.0.0.2", 0)
        port = server.sockets[0].getsockname()[1]
        front = proxy.FrontProxy(ModelsPools("http://127.0.0.1:1"), port, "127.0.0.2")
        listening = await front.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(post("/v1/files"))
        try:
            return await answer_from(reader)
        finally:
            writer.close()
            await front.drain()
            listening.close()
            server.close()

    assert uvloop.run(whole()) == WEB


def test_the_models_process_is_told_the_client_and_nothing_that_only_we_may_say():
    models = Server()
    forged = [
        b"Cookie: sessionid=1",
        internal_token.HEADER.encode() + b": forged",
        web_process.HEADER.upper().encode() + b": forged",
        client_address.HEADER + b": forged 6.6.6.6 1",
        b"X-Mine: yes",
    ]

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(post("/v1/classify", b"{}", *forged))
        await answer_from(reader)
        return writer.get_extra_info("sockname")

    address = behind_the_front(talk, models=models)
    headers = headers_of(models.requests[0])
    assert headers[client_address.HEADER] == client_address.header_value(address)
    assert b"forged" not in models.requests[0]
    assert b"cookie" not in headers
    assert headers[b"x-mine"] == b"yes"


def test_head_and_body_may_come_in_parts(monkeypatch):
    monkeypatch.setattr(state, "REST_SECONDS", 10.0)
    models = Server()

    async def talk(wire):
        return await wire.ask(ASK[:10], ASK[10:60], ASK[60:-5], ASK[-5:], pause=0.01)

    assert behind_the_front(talk, models=models) == OK
    assert models.requests[0].endswith(b'{"model": "a", "input": "b"}')


FOR_THE_WEB_PROCESS = {
    "page": b"GET /teams/ HTTP/1.1\r\nHost: lathe\r\n\r\n",
    "control plane": post("/v1/files"),
    "escaped path": b"GET /v1/models/a%2Fb HTTP/1.1\r\nHost: lathe\r\n\r\n",
    "whole address": b"GET http://lathe/v1/models HTTP/1.1\r\nHost: lathe\r\n\r\n",
    "other method": b"PUT /v1/classify HTTP/1.1\r\nHost: lathe\r\ncontent-length: 0\r\n\r\n",
    "head only": b"HEAD /v1/models HTTP/1.1\r\nHost: lathe\r\n\r\n",
    "old version": post("/v1/classify").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "last request": post("/v1/classify", b"{}", b"Connection: close"),
    "expectation": post("/v1/classify", b"{}", b"Expect: 100-continue"),
    "upgrade": post("/v1/classify", b"{}", b"Connection: upgrade", b"Upgrade: h2c"),
    "two at once": ASK + ASK,
    "assistant": post("/v1/chat/completions", b'{"model": "assistant:help"}'),
}


@pytest.mark.parametrize("name", FOR_THE_WEB_PROCESS)
def test_anything_else_goes_to_the_web_process_as_it_came(name):
    sent, models, web = FOR_THE_WEB_PROCESS[name], Server(), Server(answer=WEB)

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(sent)
        assert await answer_from(reader) == WEB
        return writer.get_extra_info("sockname")

    address = behind_the_front(talk, models=models, web=web)
    named = client_address.HEADER + b": " + client_address.header_value(address) + b"\r\n"
    received = b"".join(web.requests)
    assert received.count(named) == 1
    assert received.replace(named, b"")[: len(sent)] == sent[: len(received) - len(named)]
    assert models.requests == []


def test_a_body_of_no_known_length_or_of_a_large_one_begins_in_the_web_process():
    received = []

    async def web(reader, writer):
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(WEB)

    async def talk(wire):
        large = post("/v1/classify").replace(b"Length: 2", b"Length: 500000000000")
        chunked = post("/v1/classify").replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
        return [await wire.ask(one) for one in (large, chunked)]

    assert behind_the_front(talk, models=Server(), web=web) == [WEB, WEB]
    assert b"500000000000" in received[0]


def test_a_body_whose_rest_does_not_come_is_watched_by_the_web_process(monkeypatch):
    monkeypatch.setattr(state, "REST_SECONDS", 0.02)
    web, models = Server(answer=WEB), Server()

    async def talk(wire):
        return await wire.ask(ASK[:-1], ASK[-1:], pause=0.2)

    assert behind_the_front(talk, models=models, web=web) == WEB
    assert web.requests[0].endswith(ASK[-20:])
    assert models.requests == []


def test_a_crowd_of_half_sent_requests_is_handed_over_little_by_little(monkeypatch):
    monkeypatch.setattr(state, "REST_SECONDS", 0.0)
    monkeypatch.setattr(state, "HAND_OVER_AT_ONCE", 2)
    monkeypatch.setattr(state, "HAND_OVER_INTERVAL_SECONDS", 0.1)
    received = []

    async def web(reader, writer):
        received.append(await reader.read(len(ASK)))

    async def talk(wire):
        for _ in range(6):
            _, writer = await wire.connect()
            writer.write(ASK[:-1])
        await asyncio.sleep(0.15)
        early = len(received)
        while len(received) < 6:
            await asyncio.sleep(0.02)
        return early

    assert behind_the_front(talk, models=Server(), web=web) < 6


def test_a_request_that_came_whole_is_not_mistaken_for_the_next_one(monkeypatch):
    monkeypatch.setattr(state, "REST_SECONDS", 0.2)
    models = Server()

    async def talk(wire):
        reader, writer = await wire.connect()
        for _ in range(8):  # Each in two parts, for longer than one may take.
            writer.write(ASK[:-1])
            await asyncio.sleep(0.02)
            writer.write(ASK[-1:])
            assert await answer_from(reader) == OK
            await asyncio.sleep(0.02)

    behind_the_front(talk, models=models)
    assert models.connections == 1


def test_a_request_in_parts_whose_answer_takes_long_is_answered_once(monkeypatch):
    monkeypatch.setattr(state, "REST_SECONDS", 0.05)
    web = Server(answer=WEB)

    async def models(reader, writer):
        for _ in range(2):
            await read_request(reader)
            await asyncio.sleep(0.3)
            writer.write(OK)

    async def talk(wire):
        reader, writer = await wire.connect()
        for _ in range(2):
            writer.write(ASK[:-1])
            await asyncio.sleep(0.01)
            writer.write(ASK[-1:])
            assert await answer_from(reader) == OK
        writer.close()
        return await asyncio.wait_for(reader.read(), 1)

    assert behind_the_front(talk, models=models, web=web) == b""
    assert web.requests == []


def test_a_connection_stays_with_the_web_process_and_passes_both_ways():
    web = Server(answer=WEB)

    async def talk(wire):
        reader, writer = await wire.connect()
        for _ in range(2):
            writer.write(FOR_THE_WEB_PROCESS["page"])
            assert await answer_from(reader) == WEB
        writer.write(ASK)
        assert await answer_from(reader) == WEB

    behind_the_front(talk, models=Server(), web=web)
    assert web.connections == 1
    assert [client_address.HEADER in request for request in web.requests] == [True, False, False]


def test_a_connection_that_asked_for_inference_may_ask_for_a_page_next():
    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(ASK)
        await asyncio.sleep(0)
        writer.write(FOR_THE_WEB_PROCESS["page"])
        return await answer_from(reader), await answer_from(reader)

    answers = behind_the_front(talk, models=Server(), web=Server(answer=WEB))
    assert answers in {(OK, WEB), (WEB, WEB)}  # The second where both came in one packet.


def test_what_the_web_process_ends_is_ended_and_who_leaves_is_left():
    has_left = asyncio.Event()

    async def web(reader, writer):
        request = await read_request(reader)
        if b"/ended" in request:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nall")
            writer.close()
        else:
            await reader.read()
            has_left.set()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(b"GET /ended HTTP/1.1\r\nHost: lathe\r\n\r\n")
        assert (await ended(reader)).endswith(b"all")
        _, writer = await wire.connect()
        writer.write(b"GET /waits HTTP/1.1\r\nHost: lathe\r\n\r\n")
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(has_left.wait(), 10)

    behind_the_front(talk, web=web)


@pytest.mark.parametrize("large", [client.DISCARD_BYTES // 2, 64 * client.DISCARD_BYTES])
def test_a_refusal_reaches_a_client_that_is_still_sending(large):
    """Who sends without end is cut off after a while."""

    async def web(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % large)
        await asyncio.sleep(0.2)  # Refused and closed behind the proxy by now.
        sent, chunk = 0, bytes(64 * 1024)
        with contextlib.suppress(ConnectionError):
            while sent < large:
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
        with contextlib.suppress(ConnectionError):
            return sent, (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
        return sent, None

    sent, is_told = behind_the_front(talk, web=web)
    if large < client.DISCARD_BYTES:
        assert is_told
    else:
        assert sent < large / 2


@pytest.mark.parametrize(
    ("request_line", "is_api"), [("/v1/files", True), ("/api/v1/me", True), ("/", False)]
)
def test_a_web_process_that_is_down_is_503(request_line, is_api):
    async def talk(wire):
        return await wire.ask(b"GET %s HTTP/1.1\r\nHost: lathe\r\n\r\n" % request_line.encode())

    answer = behind_the_front(talk)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert headers_of(answer)[b"retry-after"] == b"2"
    body = answer.partition(b"\r\n\r\n")[2]
    assert (json.loads(body)["error"]["type"] == "server_error") if is_api else b"again" in body


# The models process fails


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def test_models_being_down_is_503_in_the_error_shape():
    async def talk(wire):
        return await wire.ask(ASK)

    answer = behind_the_front(talk)
    assert status_of(answer) == 503
    assert headers_of(answer)[b"retry-after"] == b"1"
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "service_unavailable"


class Breaking:
    """Keeps each connection for so many answers, then breaks without a word."""

    def __init__(self, answers: list[int]) -> None:
        self.answers, self.asked = answers, 0

    async def __call__(self, reader, writer):
        for _ in range(self.answers.pop(0)):
            await read_request(reader)
            self.asked += 1
            writer.write(OK)
        await read_request(reader)
        self.asked += 1
        writer.close()


@pytest.mark.parametrize(
    ("answers", "second", "asked"), [([1, 1], OK, 3), ([1, 0], None, 3), ([0], None, 1)]
)
def test_only_a_kept_connection_that_breaks_before_its_answer_is_replaced(answers, second, asked):
    models = Breaking(answers)
    is_kept = answers[0] == 1

    async def talk(wire):
        reader, writer = await wire.connect()
        if is_kept:
            writer.write(ASK)
            assert await answer_from(reader) == OK
        writer.write(ASK)
        return await answer_from(reader)

    answer = behind_the_front(talk, models=models)
    assert answer == second if second else status_of(answer) == 503
    assert models.asked == asked


def test_half_an_answer_is_never_passed_off_as_a_whole_one():
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"

    async def models(reader, writer):
        await read_request(reader)
        writer.write(half)
        await writer.drain()
        writer.close()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(ASK)
        return await ended(reader)

    assert behind_the_front(talk, models=models) == half


@pytest.mark.parametrize("stray", [OK, b"HTTP/1.1 200 OK\r\n"])
def test_bytes_after_an_answer_never_become_the_answer_to_another_client(stray):
    asked = connections = 0

    async def models(reader, writer):
        nonlocal asked, connections
        connections += 1
        while True:
            await read_request(reader)
            asked += 1
            writer.write(mine(asked) + (stray if asked == 1 else b""))

    def mine(number):
        return b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % number

    async def talk(wire):
        assert await wire.ask(ASK) == mine(1)
        return await wire.ask(ASK)

    assert behind_the_front(talk, models=models) == mine(2)
    assert connections == 2


def test_what_is_no_http_is_502():
    async def talk(wire):
        return await wire.ask(ASK)

    assert status_of(behind_the_front(talk, models=Server(answer=b"nonsense\r\n\r\n"))) == 502


def test_an_answer_that_does_not_come_in_time_is_502(monkeypatch):
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(proxy, "CHECK_SECONDS", 0.05)
    has_left = asyncio.Event()

    async def models(reader, writer):
        await read_request(reader)
        await reader.read()
        has_left.set()

    async def talk(wire):
        answer = await wire.ask(ASK)
        await asyncio.wait_for(has_left.wait(), 10)
        return answer

    assert status_of(behind_the_front(talk, models=models)) == 502


def test_an_answer_without_a_length_ends_with_its_connection():
    async def models(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(ASK)
        return await ended(reader)

    assert behind_the_front(talk, models=models).endswith(b"all of it")


# Streams, and clients that leave, stall or send nonsense


def test_a_stream_passes_part_by_part_and_a_leaving_client_ends_it():
    go_on, has_left = asyncio.Event(), asyncio.Event()

    async def models(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n")
        await reader.read()
        has_left.set()

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(post("/v1/chat/completions"))
        await asyncio.wait_for(reader.readuntil(b"one\r\n"), 10)
        go_on.set()
        await asyncio.wait_for(reader.readuntil(b"two\r\n"), 10)
        writer.close()
        await asyncio.wait_for(has_left.wait(), 10)

    behind_the_front(talk, models=models)


def test_a_client_that_leaves_before_its_answer_is_left_by_the_models_process_too():
    has_left = asyncio.Event()

    async def models(reader, writer):
        await read_request(reader)
        await reader.read()
        has_left.set()

    async def talk(wire):
        _, writer = await wire.connect()
        writer.write(ASK)
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(has_left.wait(), 10)
        return wire.front.state.held_bytes

    assert behind_the_front(talk, models=models) == 0


@pytest.mark.parametrize("to_web", [False, True])
def test_a_client_that_reads_slowly_slows_whoever_answers(to_web):
    size, sent = 32 * 1024**2, 0

    async def answering(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(32):
            writer.write(bytes(1024**2))
            await writer.drain()
            sent += 1024**2
        await read_request(reader)
        writer.write(OK)

    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(FOR_THE_WEB_PROCESS["page"] if to_web else ASK)
        await asyncio.sleep(0.5)
        before = sent
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.wait_for(reader.readexactly(size), 60)
        writer.write(ASK)  # And the connection behind serves again.
        assert await answer_from(reader) == OK
        return before

    before = behind_the_front(talk, models=answering, web=answering)
    assert before < size / 2


@pytest.mark.parametrize("megabytes", [20, 60])
def test_a_client_that_reads_nothing_does_not_keep_its_answer_for_ever(megabytes, monkeypatch):
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(proxy, "CHECK_SECONDS", 0.05)
    has_left = asyncio.Event()

    async def models(reader, writer):
        await read_request(reader)
        size = megabytes * 1024**2
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        has_left.set()

    async def talk(wire):
        _, writer = await wire.connect()
        writer.transport.pause_reading()
        writer.write(ASK)
        await asyncio.wait_for(has_left.wait(), 10)
        return wire.front.state.held_bytes, len(wire.front.state.clients)

    assert behind_the_front(talk, models=models) == (0, 0)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /v1/classify HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"x" * (client.MAX_HEAD_BYTES + 1), 431),
    ],
)
def test_what_is_no_request_is_refused(sent, status):
    async def talk(wire):
        reader, writer = await wire.connect()
        writer.write(sent)
        return await ended(reader)

    assert status_of(behind_the_front(talk)) == status


def test_a_connection_that_says_nothing_is_closed(monkeypatch):
    monkeypatch.setattr(client, "FIRST_REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(proxy, "CHECK_SECONDS", 0.05)

    async def talk(wire):
        silent, _ = await wire.connect()
        half, writer = await wire.connect()
        writer.write(b"POST /v1/classify HT")
        return [await ended(one) for one in (silent, half)]

    assert behind_the_front(talk) == [b"", b""]


def test_more_connections_than_there_is_room_for_are_closed(monkeypatch):
    monkeypatch.setattr(state, "MAX_CONNECTIONS", 1)

    async def talk(wire):
        reader, writer = await wire.connect()
        await asyncio.sleep(0.05)
        second, _ = await wire.connect()
        with contextlib.suppress(ConnectionError):
            assert await ended(second) == b""
        writer.write(ASK)
        return await answer_from(reader)

    assert behind_the_front(talk, models=Server()) == OK


def test_requests_under_way_are_answered_before_it_ends():
    async def models(reader, writer):
        await read_request(reader)
        await asyncio.sleep(0.3)
        writer.write(OK)

    async def talk(wire):
        reader, writer = await wire.connect()
        idle, _ = await wire.connect()
        writer.write(ASK)
        await asyncio.sleep(0.1)
        await wire.front.drain()
        return await ended(reader), await ended(idle)

    assert behind_the_front(talk, models=models) == (OK, b"")
