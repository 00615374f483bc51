"""Which chats go to an assistant, byte for byte, and which go on to inference."""

import asyncio
import json

import pytest

from assistants.gateway import CHAT_PATH, MAX_BYTES, with_assistant_models


def send(body: bytes, path: str = CHAT_PATH, chunks: int = 3):
    """Who got the request, at which path, with which body."""
    got = []

    def app(name):
        async def run(scope, receive, send):
            received = b""
            while True:
                message = await receive()
                received += message.get("body", b"")
                if not message.get("more_body"):
                    break
            got.append((name, scope["path"], received))

        return run

    size = max(1, len(body) // chunks)
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    messages = [
        {"type": "http.request", "body": part, "more_body": n < len(parts) - 1}
        for n, part in enumerate(parts)
    ]

    async def receive():
        return messages.pop(0)

    scope = {"type": "http", "path": path, "method": "POST"}
    application = with_assistant_models(app("inference"), app("django"))
    asyncio.run(application(scope, receive, None))
    return got[0]


def test_an_assistant_goes_to_django_and_all_else_to_inference():
    asked = json.dumps({"model": "assistant:shop-help", "messages": []}).encode()
    assert send(asked) == ("django", "/v1/assistants/shop-help/chat", asked)
    for body in (
        json.dumps({"model": "tiny", "messages": [{"content": '"assistant:x"'}]}).encode(),
        b"", b"{", b'["assistant:"]', b'{"model": 5, "x": "assistant:a"}',
    ):  # fmt: skip
        assert send(body) == ("inference", CHAT_PATH, body)
    assert send(asked, "/v1/completions") == ("inference", "/v1/completions", asked)


@pytest.mark.parametrize("name", ["", "../admin", "a/b", "a b", "?x"])
def test_a_strange_name_reaches_no_other_page(name):
    body = json.dumps({"model": f"assistant:{name}"}).encode()
    assert send(body)[:2] == ("django", "/v1/assistants/-/chat")


def test_a_huge_body_is_passed_on_whole():
    body = json.dumps({"model": "assistant:a", "pad": "x" * (2 * MAX_BYTES)}).encode()
    assert send(body, chunks=8) == ("inference", CHAT_PATH, body)
