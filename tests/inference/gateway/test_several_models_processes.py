"""Several addresses in MODELS_URL: who is asked next, and what happens when one is away."""

import asyncio
import time

import httpx
import pytest

from inference.gateway import models_client
from inference.gateway.models_client import open_async_client, open_client
from inference.gateway.reverse_proxy import with_inference_proxy
from inference.gateway.upstream import balancer as balancing
from inference.gateway.upstream.balancer import Balancer, models_urls
from tests.inference.gateway.test_reverse_proxy import django_stands_here
from tests.inference.gateway.test_upstream import GET, POST, WHOLE, Upstream
from tests.inference.processes import free_port


def test_the_fewest_requests_under_way_win_and_equals_take_turns():
    balancer = Balancer(["a", "b", "c"])
    assert [balancer.begin() for _ in range(4)] == ["a", "b", "c", "a"]
    balancer.end("c")
    assert balancer.begin() == "c"
    assert balancer.begin() == "b"
    for url in "aabbc":
        balancer.end(url)
    assert [balancer.begin() for _ in range(3)] == ["a", "c", "b"]


def test_who_was_away_is_asked_last_until_a_while_has_passed(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(balancing.time, "monotonic", lambda: clock[0])
    balancer = Balancer(["a", "b"])
    balancer.end(balancer.begin(), is_away=True)
    assert [balancer.begin() for _ in range(3)] == ["b", "b", "b"]
    assert balancer.begin(tried={"b"}) == "a"
    assert balancer.begin(tried={"a", "b"}) is None
    clock[0] += balancing.PASS_OVER_SECONDS + 1
    assert balancer.begin() == "a"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://a:1", ("http://a:1",)),
        ("http://a:1/ , http://b:2,,http://a:1", ("http://a:1", "http://b:2")),
        ("", ()),
    ],
)
def test_addresses_are_separated_by_commas(settings, text, urls):
    settings.MODELS_URL = text
    assert models_urls() == urls


def talk(settings, upstreams, *requests):
    """The answers to these (method, path, body) in turn; an upstream that is None is down."""
    ports = [free_port() for _ in upstreams]
    settings.MODELS_URL = ",".join(f"http://127.0.0.1:{port}" for port in ports)

    async def whole():
        servers = [
            await asyncio.start_server(upstream.serve, "127.0.0.1", port)
            for upstream, port in zip(upstreams, ports, strict=True)
            if upstream is not None
        ]
        transport = httpx.ASGITransport(with_inference_proxy(django_stands_here))
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            answers = [
                await client.request(method, path, content=body) for method, path, body in requests
            ]
        for server in servers:
            server.close()
        return [answer.status_code for answer in answers]

    return asyncio.run(whole())


def test_requests_take_turns_and_name_the_host_they_go_to(settings):
    first, second = Upstream(*[WHOLE] * 9), Upstream(*[WHOLE] * 9)
    assert talk(settings, [first, second], *[GET] * 6) == [200] * 6
    assert (len(first.requests), len(second.requests)) == (3, 3)
    hosts = [url.removeprefix("http://").encode() for url in models_urls()]
    for host, upstream in zip(hosts, [first, second], strict=True):
        assert all(b"host: " + host in request for request in upstream.requests)


def test_one_that_is_down_is_passed_over_unseen(settings):
    second = Upstream(*[WHOLE] * 9)
    assert talk(settings, [None, second, None], *[POST] * 5) == [200] * 5
    assert len(second.requests) == 5


def test_all_that_are_down_are_503(settings):
    assert talk(settings, [None, None], POST) == [503]
    settings.MODELS_URL = ""
    assert talk(settings, [], POST) == [503]


def test_one_that_ends_before_a_byte_of_its_answer_is_replaced_once_by_another(settings):
    dying, well = Upstream(None), Upstream(WHOLE)
    assert talk(settings, [dying, well], POST) == [200]
    assert (len(dying.requests), len(well.requests)) == (1, 1)


def test_a_request_that_ends_each_process_it_meets_is_not_sent_to_all_of_them(settings):
    upstreams = [Upstream(None), Upstream(None), Upstream(WHOLE)]
    assert talk(settings, upstreams, POST) == [503]
    assert [len(upstream.requests) for upstream in upstreams] == [1, 1, 0]


def test_a_kept_connection_that_was_closed_may_be_replaced_at_its_own_process(settings):
    upstream = Upstream(WHOLE, None, WHOLE)
    assert talk(settings, [upstream, None], POST, POST) == [200, 200]
    assert len(upstream.requests) == 3


def test_once_a_byte_of_an_answer_came_nobody_else_is_asked(settings):
    first, second = Upstream(b"HTTP/1.1 2", then_close=True), Upstream(WHOLE)
    first.then_close = True
    assert talk(settings, [first, second], POST) == [503]
    assert second.requests == []


def serve_in_thread(handler):
    """An address where `handler(request)` answers, and a way to end it."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = handler(self.path)
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server


@pytest.fixture
def two_and_one_away(settings):
    first, one = serve_in_thread(lambda path: b"first " + path.encode())
    second, two = serve_in_thread(lambda path: b"second " + path.encode())
    settings.MODELS_URL = f"{first},http://127.0.0.1:{free_port()},{second}"
    yield
    for server in (one, two):
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("two_and_one_away")
def test_our_own_processes_choose_in_the_same_way():
    with open_client(5) as client:
        said = [client.get("/v1/x", params={"q": "a b"}).text for _ in range(4)]
        assert sorted(said) == ["first /v1/x?q=a+b"] * 2 + ["second /v1/x?q=a+b"] * 2
        with client.stream("GET", "/v1/a") as open_answer:  # Counts as under way until it is left.
            busy = open_answer.read().split()[0]
        with client.stream("GET", "/v1/a"), client.stream("GET", "/v1/a") as other:
            free = other.read()
            assert client.get("/v1/b").text
        assert busy
        assert free

    async def ask():
        async with open_async_client(5) as client:
            return [(await client.get("/v1/y")).text for _ in range(2)]

    assert {text.split()[0] for text in asyncio.run(ask())} == {"first", "second"}


@pytest.mark.usefixtures("two_and_one_away")
def test_the_health_of_each_is_told_at_readyz_and_to_prometheus(client, settings, db):
    models_client._read_health.cache_clear()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["models"] == ["ok", "does not answer", "ok"]
    settings.METRICS_TOKEN = "secret"
    text = client.get("/metrics", headers={"Authorization": "Bearer secret"}).content.decode()
    up = [float(line.split()[-1]) for line in text.splitlines() if "lathe_models_up{" in line]
    assert sorted(up) == [0, 1, 1]
    began = time.monotonic()
    client.get("/readyz")
    assert time.monotonic() - began < 1
