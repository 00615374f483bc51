"""The guard's decisions, with an application behind it that notes what reaches it."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from web.guard import application, deadlines, request_body
from web.guard.application import Guard
from web.guard.limits import Limits, Uploads
from web.guard.trusted_proxies import TrustedProxies

LIMITS = Limits(body_seconds=0.3, slow_bodies_per_address=2, requests_per_address=3, requests=5)


@pytest.fixture(autouse=True)
def short_times(monkeypatch):
    monkeypatch.setattr(deadlines, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(request_body, "SLOW_AFTER_SECONDS", 0.05)
    monkeypatch.setattr(application, "DISCARD_SECONDS", 0.05)


class Behind:
    """Reads the body and says how much it was; waits while `gate` is closed."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.started = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope, receive, send):
        self.started += 1
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        else:
            return
        self.read.append(size)
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


class Client:
    """One request: parts of a body that come, and what was answered."""

    def __init__(self, path="/x", method="POST", parts=(), *, length=None, stalls=False, **headers):
        self.scope = {
            "type": "http", "method": method, "path": path, "http_version": "1.1",
            "client": (headers.pop("peer", "203.0.113.7"), 1),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        if length is not None:
            self.scope["headers"].append((b"content-length", str(length).encode()))
        elif parts or stalls:
            self.scope["headers"].append((b"transfer-encoding", b"chunked"))
        has_body = length is not None or parts or stalls
        self.parts, self.stalls = list(parts) if has_body else [b""], stalls
        self.status, self.headers, self.body, self.taken = 0, {}, b"", 0

    async def receive(self):
        if self.parts:
            part = self.parts.pop(0)
            self.taken += len(part)
            more = bool(self.parts) or self.stalls
            return {"type": "http.request", "body": part, "more_body": more}
        if self.stalls:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]

    async def ask(self, guard):
        await guard(self.scope, self.receive, self.send)
        return self

    @property
    def error(self):
        return json.loads(self.body)["error"]


def guard_of(behind, **facts) -> Guard:
    return Guard(behind, limits=LIMITS, proxies=TrustedProxies([]), **facts)


def asked(*clients, **facts):
    """The clients after all of them were answered, and what was behind the guard."""

    async def scenario():
        behind = Behind()
        guard = guard_of(behind, **facts)
        async with asyncio.timeout(20):
            await asyncio.gather(*(client.ask(guard) for client in clients))
        usage = guard._usage
        assert usage.requests == 0, "a request that has ended still counts"
        assert not usage.by_address
        assert not usage.slow_by_address
        assert not +usage.uploads_by_caller
        return behind

    return asyncio.run(scenario())


LARGE = b"x" * (6 * 1024**2)


def test_a_declared_body_that_is_too_large_reaches_nobody():
    client = Client("/api/v1/me", parts=[b"x" * 1000], length=500_000_000_000, stalls=True)
    behind = asked(client)
    assert (client.status, client.error["code"]) == (413, "request_too_large")
    assert client.headers[b"connection"] == b"close"
    assert behind.started == 0
    assert client.taken <= 1000


def test_a_body_that_grows_too_large_is_stopped_there():
    client = Client("/api/v1/me", parts=[b"x" * 500_000] * 100)
    behind = asked(client)
    assert client.status == 413
    assert client.taken < 5 * 1024**2 + application.DISCARD_BYTES + 2_000_000
    assert behind.read == []


def test_an_ordinary_body_passes():
    client = Client(parts=[b"ab", b"cd"], length=4)
    assert asked(client).read == [4]
    assert (client.status, client.body) == (200, b"done")


@pytest.mark.parametrize("parts", [[], [b"x"]])
def test_a_stalled_body_is_408(parts):
    client = Client("/v1/classify", parts=parts, length=50, stalls=True)
    asked(client)
    assert (client.status, client.error["code"]) == (408, "request_timeout")


def test_a_body_that_drips_is_408(monkeypatch):
    async def drip(self):
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": True}

    monkeypatch.setattr(Client, "receive", drip)
    client = Client("/v1/classify", length=50_000)
    asked(client)
    assert client.status == 408


def test_pages_are_refused_with_a_page_and_htmx_with_a_fragment():
    page, fragment = Client(length=10**12), Client(length=10**12, hx_request="true")
    asked(page, fragment)
    assert b"The body is larger than 5 MiB." in page.body
    assert b"<html" in page.body
    assert fragment.headers[b"hx-retarget"] == b"#problem"
    assert b"<html" not in fragment.body


@pytest.mark.parametrize(
    "headers",
    [{"accept_language": "zh-CN,zh;q=0.9,en;q=0.5"}, {"cookie": "a=b; django_language=zh-hans"}],
)
def test_a_refused_page_is_in_the_readers_language_and_the_api_in_english(headers):
    page, fragment = (
        Client(length=10**12, **headers),
        Client(length=9**12, hx_request="1", **headers),
    )
    program, english = Client("/api/v1/me", length=10**12, **headers), Client(length=10**12)
    asked(page, fragment)
    asked(program, english)
    assert "请求体超过 5 MiB。" in page.body.decode()
    assert 'lang="zh-hans"' in page.body.decode()
    assert "请求体超过 5 MiB。" in fragment.body.decode()
    assert program.error["message"] == "The body is larger than 5 MiB."
    assert b"The body is larger than 5 MiB." in english.body


def uploads(callers=("ann",), room=True) -> Uploads:
    async def find_caller(scope):
        name = dict(scope["headers"]).get(b"who", b"").decode()
        if name == "trouble":
            raise OSError("the database is away")
        return name if name in callers else None

    return Uploads(10 * 1024**2, lambda scope: scope["path"] == "/up", find_caller, lambda _: room)


@pytest.mark.parametrize("declares", [True, False])
def test_only_somebody_known_uploads_much_and_only_where_uploads_go(declares):
    length = len(LARGE) if declares else None
    known = Client("/up", parts=[LARGE], length=length, who="ann")
    stranger = Client("/up", parts=[LARGE], length=length, who="eve")
    elsewhere = Client("/x", parts=[LARGE], length=length, who="ann")
    trouble = Client("/up", parts=[LARGE], length=length, who="trouble")
    behind = asked(
        known, stranger, elsewhere, trouble, uploads=uploads(), is_admitted=lambda _: True
    )
    assert [one.status for one in (known, stranger, elsewhere, trouble)] == [200, 401, 413, 503]
    assert behind.read == [len(LARGE)]


def test_nobody_uploads_more_than_the_limit_or_than_there_is_room_for():
    too_large = Client("/up", length=11 * 1024**2, who="ann")
    asked(too_large, uploads=uploads())
    assert too_large.status == 413
    without_room = Client("/up", length=9 * 1024**2, who="ann")
    asked(without_room, uploads=uploads(room=False))
    assert without_room.status == 503


def test_one_person_holds_few_large_uploads_at_once():
    clients = [Client("/up", parts=[LARGE], length=10**7, stalls=True, who="ann") for _ in range(6)]
    asked(*clients, uploads=uploads(), is_admitted=lambda _: True)
    assert sorted(client.status for client in clients) == [408] * 4 + [429] * 2


def test_half_sent_requests_of_one_address_are_few():
    clients = [Client("/v1/x", length=50, stalls=True) for _ in range(3)]
    other = Client("/v1/x", length=50, stalls=True, peer="198.51.100.9")
    asked(*clients, other)
    assert sorted(client.status for client in clients) == [408, 408, 429]
    assert other.status == 408


def test_a_busy_loop_is_not_taken_for_slow_clients(monkeypatch):
    """Bodies that are there already, while the loop is too busy to fetch them."""
    monkeypatch.setattr(request_body, "SLOW_AFTER_SECONDS", 0.02)

    async def late(self):
        for _ in range(4):
            time.sleep(0.15)  # noqa: ASYNC251  The loop itself is stuck.
            await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x" * 50, "more_body": False}

    monkeypatch.setattr(Client, "receive", late)
    clients = [Client("/v1/x", length=50) for _ in range(3)]

    async def scenario():
        patient = replace(LIMITS, body_seconds=20)
        guard = Guard(Behind(), limits=patient, proxies=TrustedProxies([]))
        await asyncio.gather(*(client.ask(guard) for client in clients))

    asyncio.run(scenario())
    assert [client.status for client in clients] == [200] * 3


def test_one_address_is_answered_so_often_at_once_and_others_beside_it():
    async def scenario():
        behind = Behind()
        behind.gate.clear()
        guard = guard_of(behind)
        clients = [Client(method="GET") for _ in range(4)]
        others = [Client(method="GET", peer=f"198.51.100.{n}") for n in range(3)]
        health = Client("/healthz", method="GET")
        asking = [asyncio.create_task(one.ask(guard)) for one in (*clients, *others, health)]
        await asyncio.sleep(0.05)
        behind.gate.set()
        await asyncio.gather(*asking)
        return [one.status for one in (*clients, *others, health)], clients[3]

    statuses, refused = asyncio.run(scenario())
    assert statuses == [200, 200, 200, 429, 200, 200, 503, 200]
    assert refused.headers[b"retry-after"] == b"1"


def test_a_live_stream_gives_its_place_back():
    async def scenario():
        leave = asyncio.Event()

        async def streaming(scope, receive, send):
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await leave.wait()
            await send({"type": "http.response.body", "body": b""})

        guard = guard_of(streaming)
        clients = [Client(method="GET") for _ in range(5)]
        asking = []
        for client in clients:
            asking.append(asyncio.create_task(client.ask(guard)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        leave.set()
        await asyncio.gather(*asking)
        return [client.status for client in clients]

    assert asyncio.run(scenario()) == [200] * 5


def test_an_answer_that_comes_before_the_body_is_seen_whole():
    client = Client("/v1/x", parts=[b"x" * 1000] * 50, length=50_000)

    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"who?"})

    async def scenario():
        await client.ask(guard_of(refuse))

    asyncio.run(scenario())
    assert (client.status, client.body) == (401, b"who?")
    assert client.taken == 50_000  # Else closing the connection would have reset it.


def test_an_applications_error_passes_on():
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Client().ask(guard_of(broken)))


def test_what_is_behind_sees_the_clients_address():
    seen = []

    async def note(scope, receive, send):
        seen.append(scope["client"][0])

    guard = Guard(note, limits=LIMITS, proxies=TrustedProxies(["203.0.113.7"]))
    asyncio.run(Client(x_forwarded_for="198.51.100.9").ask(guard))
    assert seen == ["198.51.100.9"]
