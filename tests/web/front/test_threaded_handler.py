"""Requests that are no pages get from the threaded handler what Django's own would answer."""

import asyncio
import json
import re

import pytest
from django.core.handlers.asgi import ASGIHandler

from web.front.threaded_handler import FOR_PAGES_ONLY, ThreadedHandler

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


def ask(application, path, headers, body):
    sent = []
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": "",
        "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        "headers": [*([] if any(n == b"host" for n, _ in headers) else [(b"host", b"localhost")]),
                    *headers],
    }  # fmt: skip

    async def run():
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            return await asyncio.Future()

        async def send(message):
            sent.append(message)

        await application(scope, receive, send)

    asyncio.run(run())
    content = b"".join(message.get("body", b"") for message in sent[1:])
    said = {name.lower(): value for name, value in sent[0]["headers"]}
    assert said.pop(b"x-request-id")
    said.pop(b"expires", None)  # Of this second.
    said[b"vary"] = said.get(b"vary", b"").removesuffix(b", Cookie")  # It looks at none.
    return sent[0]["status"], said, re.sub(rb"req_[0-9a-f]{24}", b"", content)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_same(name):
    path, headers, body = REQUESTS[name]
    status, said, content = ask(ThreadedHandler(2), path, headers, body)
    usual_status, usual, usual_content = ask(ASGIHandler(), path, headers, body)
    assert (status, content) == (usual_status, usual_content)
    assert 400 <= status < 500
    assert said == usual
    if name != "another host" and said[b"content-type"] == b"application/json":
        assert json.loads(content)["error"]


def test_what_is_left_out_is_in_the_settings(settings):
    assert set(settings.MIDDLEWARE) >= FOR_PAGES_ONLY
