"""More questions than can be answered: 429 in each door's own shape, and never a 5xx."""

import asyncio
import json

import pytest
from django.db import OperationalError, connection
from psycopg_pool import PoolTimeout

from assistants.consultations import admission
from assistants.lifecycle import add_channel
from assistants.models import Channel
from web.database import pool

DOORS = [
    "/consult",
    "/v1/assistants/shop-help/consult",
    "/v1/assistants/shop-help/chat",  # Where /v1/chat/completions leads: assistants.gateway.
    "/w/ch_abc/messages",
]


def call(application, path, headers=(), method="POST", body=b"{}"):
    """Status, headers and body of one request."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}

    async def run():
        await application(scope, receive, send)
        return sent

    return run()


async def stuck(scope, receive, send):
    await receive()
    await asyncio.sleep(30)


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("language", [b"en", b"zh-CN"])
def test_each_door_says_429_in_its_own_shape_and_when_to_come_again(path, language):
    async def scenario():
        application = admission.with_admission_queue(stuck, stuck)
        running = [
            asyncio.create_task(call(application, path))
            for _ in range(admission.AT_ONCE + admission.LONGEST)
        ]
        await asyncio.sleep(0.05)
        start, content = await call(application, path, [(b"accept-language", language)])
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return start, json.loads(content["body"])

    start, body = asyncio.run(scenario())
    assert start["status"] == 429
    assert int(dict(start["headers"])[b"retry-after"]) > 0
    if path.startswith("/w/"):
        assert isinstance(body["error"], str)
        assert ("Too many" in body["error"]) == (language == b"en")
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert (body["error"]["type"], body["error"]["code"]) == ("rate_limit_error", "overloaded")


def test_what_asks_nothing_waits_for_nobody():
    async def scenario():
        application = admission.with_admission_queue(answers, stuck)
        running = [
            asyncio.create_task(call(application, "/consult"))
            for _ in range(admission.AT_ONCE + admission.LONGEST)
        ]
        await asyncio.sleep(0.05)
        for path, method in (("/consult", "GET"), ("/w/ch_abc/stream", "GET"), ("/inbox/", "POST")):
            start, _ = await call(application, path, method=method)
            assert start["status"] == 200, path
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def answers(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    asyncio.run(scenario())


@pytest.fixture
def exhausted(monkeypatch):
    """Every query from now on waits in vain for one of the shared connections."""

    def refuse(*_, **__):
        raise OperationalError("couldn't get a connection after 5.00 sec") from PoolTimeout("late")

    def begin(*, reachable=True):
        monkeypatch.setattr(pool._probe, "_asked_at", float("-inf"))
        monkeypatch.setattr(pool._probe, "_ask", lambda: reachable)
        monkeypatch.setattr(connection, "cursor", refuse)

    return begin


@pytest.mark.django_db
def test_no_door_answers_5xx_where_requests_wait_for_one_anothers_connections(
    live, alice, api, token, client, client_of, exhausted
):
    channel = add_channel(live.assistant, Channel.Kind.WEB, alice, allowed_origins=["https://a.b"])
    program, person = api(token), client_of(alice)
    client.raise_request_exception = program.raise_request_exception = False
    person.raise_request_exception = False
    exhausted()
    answers = {
        "consult": program.post("/v1/assistants/shop-help/consult", {"text": "hi"}),
        "by key": program.post("/consult", {"text": "hi"}),
        "chat": program.post("/v1/assistants/shop-help/chat", {"model": "m", "messages": []}),
        "speech": program.get("/v1/assistants/shop-help/speech/abc"),
        "api": program.get("/api/v1/projects"),
        "files": program.get("/v1/files"),
        "widget": client.post(f"/w/{channel.public_key}/messages", {}, "application/json"),
        "frame": client.get(f"/w/{channel.public_key}/"),
        "wechat": client.post("/wechat/abc/", b"<xml/>", "text/xml"),
        "page": person.get("/projects/"),
        "inbox": person.get(f"/teams/{live.assistant.team.slug}/inbox/"),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        answers, 429
    )
    for name, answer in answers.items():
        assert int(answer["Retry-After"]) > 0, name
    for name in ("consult", "by key", "chat", "speech", "api", "files"):
        error = answers[name].json()["error"]
        assert (error["type"], error["code"]) == ("rate_limit_error", "overloaded"), name
    assert client.get("/readyz").status_code == 200  # Busy is not broken.


@pytest.mark.django_db
def test_a_database_that_is_away_is_still_503(live, api, token, client, exhausted):
    program = api(token)
    client.raise_request_exception = program.raise_request_exception = False
    exhausted(reachable=False)
    answer = program.post("/v1/assistants/shop-help/consult", {"text": "hi"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert client.get("/readyz").status_code == 503
