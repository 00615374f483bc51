"""The threaded handler answers what Django's own would, and its threads keep nothing."""

import asyncio
import json
import re
import threading
import types

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.http import FileResponse, HttpResponse
from django.urls import re_path

from assistants.consultations.admission import FOR_PAGES_ONLY
from web.front.threaded_handler import ThreadedHandler

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
JSON = (b"content-type", b"application/json")
REQUESTS = {
    "no credential": ("/consult", [JSON], b'{"text": "hi"}'),
    "unknown token": (
        "/v1/assistants/shop-help/consult",
        [JSON, (b"authorization", b"Bearer lathe_nothing")],
        b'{"text": "hi"}',
    ),
    "unknown key": (
        "/v1/assistants/shop-help/chat",
        [JSON, (b"authorization", b"Bearer ch_nothing")],
        b"{}",
    ),
    "no JSON": ("/v1/assistants/shop-help/consult", [JSON], b"{"),
    "unknown widget": ("/w/ch_nothing/messages", [JSON], b'{"text": "hi"}'),
    "in Chinese": ("/w/ch_nothing/messages", [JSON, (b"accept-language", b"zh-CN")], b"{}"),
    "a broken form": (
        "/w/ch_nothing/messages",
        [(b"content-type", b"multipart/form-data; boundary=x")],
        b"--y",
    ),
    "another charset": ("/consult", [(b"content-type", b"text/plain; charset=rot13")], b"x"),
    "a NUL in the address": ("/w/ch_\x00/messages", [JSON], b"{}"),
    "another host": ("/consult", [JSON, (b"host", b"evil.example")], b"{}"),
    "no such address": ("/v1/assistants/shop-help/nothing", [JSON], b"{}"),
    "a large answer": ("/w/ch_nothing/messages", [JSON, (b"accept-encoding", b"gzip")], b"{}"),
}


def scope_of(path, headers, method="POST"):
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        "headers": [*([] if any(n == b"host" for n, _ in headers) else [(b"host", b"localhost")]),
                    *headers],
    }  # fmt: skip


def ask(application, path, headers=(), body=b"", method="POST"):
    sent = []

    async def run():
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            return await asyncio.Future()

        async def send(message):
            sent.append(message)

        await application(scope_of(path, headers, method), receive, send)

    asyncio.run(run())
    content = b"".join(message.get("body", b"") for message in sent[1:])
    said = {name.lower(): value for name, value in sent[0]["headers"]}
    said.pop(b"expires", None)  # Of this second.
    varies = said.get(b"vary", b"").split(b", ")
    said[b"vary"] = {name for name in varies if name != b"Cookie"}  # It looks at none.
    return sent[0]["status"], said, re.sub(rb"req_[0-9a-f]{24}", b"", content)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_same(name):
    path, headers, body = REQUESTS[name]
    status, said, content = ask(ThreadedHandler(2, FOR_PAGES_ONLY), path, headers, body)
    usual_status, usual, usual_content = ask(ASGIHandler(), path, headers, body)
    assert (status, content) == (usual_status, usual_content)
    assert 400 <= status < 500
    assert said.pop(b"x-request-id") != usual.pop(b"x-request-id")
    assert said == usual
    if name != "another host" and said[b"content-type"] == b"application/json":
        assert json.loads(content)["error"]


def test_what_is_left_out_is_in_the_settings(settings):
    assert set(settings.MIDDLEWARE) >= FOR_PAGES_ONLY


PAGES = {
    "a page": (200, "GET", "/accounts/login/"),
    "its head": (200, "HEAD", "/accounts/login/"),
    "a redirect": (302, "GET", "/accounts/2fa/"),
    "a form of nobody": (403, "POST", "/accounts/login/"),
    "no such file": (404, "GET", "/static/css/nothing.css"),
    "an unknown page": (404, "GET", "/nowhere/"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_same(name):
    expected, method, path = PAGES[name]
    status, headers, content = ask(ThreadedHandler(2), path, method=method)
    usual_status, usual, usual_content = ask(ASGIHandler(), path, method=method)
    for of_one_request in (b"x-request-id", b"set-cookie", b"content-security-policy"):
        assert (of_one_request in headers) == (of_one_request in usual)
        headers.pop(of_one_request, None), usual.pop(of_one_request, None)
    assert (status, headers) == (usual_status, usual)
    assert status == expected
    secrets = rb'nonce="[^"]*"|[A-Za-z0-9-]{24,}'
    assert re.sub(secrets, b"", content) == re.sub(secrets, b"", usual_content)


def test_an_open_file_is_sent_whole_and_closed(tmp_path, urls_of):
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * 1000)
    opened = (tmp_path / "large.bin").open("rb")
    urls_of(lambda request: FileResponse(opened))
    status, headers, content = ask(ThreadedHandler(1), "/", method="GET")
    assert (status, content) == (200, bytes(range(256)) * 1000)
    assert headers[b"content-length"] == b"256000"
    assert opened.closed


def test_a_thread_gives_its_connection_back(urls_of):
    connections = []

    def view(request):
        connection.ensure_connection()
        connections.append(connection.connection)
        return HttpResponse("")

    urls_of(view)
    ask(ThreadedHandler(1), "/", method="GET")
    assert connections[0].closed


def test_who_left_before_a_thread_was_free_is_not_answered(urls_of):
    answered, may_end = [], threading.Event()

    def view(request):
        answered.append(request.GET["of"])
        may_end.wait(10)
        return HttpResponse("")

    urls_of(view)
    handler = ThreadedHandler(1)

    async def visit(name, leaves):
        body = [{"type": "http.request"}]

        async def receive():
            if body:
                return body.pop()
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        scope = scope_of("/", (), "GET") | {"query_string": f"of={name}".encode()}
        await handler(scope, receive, send)

    async def run():
        stays, leaves = asyncio.Event(), asyncio.Event()
        first = asyncio.create_task(visit("first", stays))
        second = asyncio.create_task(visit("second", leaves))
        await asyncio.sleep(0.1)
        leaves.set()
        await asyncio.wait_for(second, 5)
        may_end.set()
        await visit("third", stays)
        await first

    asyncio.run(run())
    assert answered == ["first", "third"]


@pytest.fixture
def urls_of(settings):
    """Lets one view answer every address."""

    def answer_with(view):
        module = types.ModuleType("urls_of_one_view")
        module.urlpatterns = [re_path("", view)]
        settings.ROOT_URLCONF = module

    return answer_with
