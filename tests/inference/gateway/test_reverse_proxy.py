"""What a client sees through the web process, with a real models process behind it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from django.db import connection
from django.db.models import Sum

from billing.models import UsageEvent
from inference.gateway import internal_token
from inference.gateway.reverse_proxy import with_inference_proxy
from inference.gateway.upstream.connection import ConnectionLost
from tests.inference.processes import PROJECT, free_port, models_process

needs_database = pytest.mark.django_db(transaction=True, serialized_rollback=True)


async def django_stands_here(scope, receive, send):
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"django"})


def through_web(settings, port, talk, token=None):
    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    headers = {"authorization": f"Bearer {token.secret}"} if token else {}

    async def whole():
        transport = httpx.ASGITransport(with_inference_proxy(django_stands_here))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://web", headers=headers, timeout=30
        ) as client:
            return await talk(client)

    return asyncio.run(whole())


def test_only_inference_is_taken_from_django(settings):
    async def talk(client):
        paths = ("/", "/v1/files", "/v1/modelsx", "/healthz", "/metrics", "/v1/classify/x")
        return [(await client.get(path)).status_code for path in paths]

    assert through_web(settings, free_port(), talk) == [299] * 6


def test_models_being_down_is_503_in_the_error_shape_with_a_time_to_come_back(settings):
    async def talk(client):
        return await client.post("/v1/classify", json={"model": "a", "input": "b"})

    answer = through_web(settings, free_port(), talk)
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["retry-after"] == "1"


def test_half_an_answer_is_never_passed_off_as_a_whole_one(settings):
    port = free_port()

    async def break_off(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async def talk(client):
        server = await asyncio.start_server(break_off, "127.0.0.1", port)
        try:
            with pytest.raises(ConnectionLost):
                await client.get("/v1/models")
        finally:
            server.close()

    through_web(settings, port, talk)


@pytest.mark.parametrize("has_begun", [True, False])
def test_when_the_client_leaves_the_models_process_is_left_too(settings, has_begun):
    port = free_port()

    async def whole():
        has_left = asyncio.Event()

        async def write_for_ever(reader, writer):
            await reader.readuntil(b"\r\n\r\n{}")
            if has_begun:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
            if await reader.read() == b"":  # Until the other side closes.
                has_left.set()
            writer.close()

        server = await asyncio.start_server(write_for_ever, "127.0.0.1", port)
        sent, has_request = [], asyncio.Event()

        async def receive():
            if not has_request.is_set():
                has_request.set()
                return {"type": "http.request", "body": b"{}", "more_body": False}
            while has_begun and len(sent) < 2:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message["type"])

        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions",
            "headers": [(b"content-length", b"2")],
        }  # fmt: skip
        await with_inference_proxy(django_stands_here)(scope, receive, send)
        if has_begun:  # Else it may have been left before it was reached at all.
            await asyncio.wait_for(has_left.wait(), 30)
        server.close()
        return sent

    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    assert asyncio.run(whole()) == (["http.response.start", "http.response.body"] * has_begun)


def test_neither_cookies_nor_playground_passes_from_outside_reach_the_models_process(settings):
    port = free_port()
    heads = []

    async def note(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-kept: yes\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def talk(client):
        server = await asyncio.start_server(note, "127.0.0.1", port)
        headers = {internal_token.HEADER: "x", "cookie": "sessionid=1", "x-mine": "yes"}
        answer = await client.get("/v1/models/a%2Fb?x=1", headers=headers)
        server.close()
        return answer

    answer = through_web(settings, port, talk)
    (head,) = heads
    assert head.startswith(b"GET /v1/models/a%2Fb?x=1 HTTP/1.1\r\n")
    assert b"x-mine: yes" in head.lower()
    assert b"sessionid" not in head
    assert internal_token.HEADER.encode() not in head.lower()
    assert answer.headers["x-kept"] == "yes"


def something_is_booked() -> bool:
    try:
        return UsageEvent.objects.exists()
    finally:
        connection.close()  # A thread's own.


@needs_database
@pytest.mark.slow
def test_a_killed_models_process_is_503_for_a_moment_and_then_answers_again(
    deployment, token, settings
):
    port = free_port()
    body = {"model": "intents", "input": "my card"}

    async def ask(client):
        return await client.post("/v1/classify", json=body)

    async def ask_while_it_dies(client, process):
        asking = [asyncio.create_task(keep_asking(client)) for _ in range(8)]
        while not await asyncio.to_thread(something_is_booked):
            assert not all(one.done() for one in asking)
            await asyncio.sleep(0.1)
        process.kill()
        return [status for statuses in await asyncio.gather(*asking) for status in statuses]

    async def keep_asking(client):
        statuses = []
        while statuses.count(503) < 5:
            answer = await ask(client)
            assert answer.headers["content-type"] == "application/json"
            if answer.status_code != 200:
                assert answer.headers["retry-after"]
                assert answer.json()["error"]["message"]
                await asyncio.sleep(0.05)
            statuses.append(answer.status_code)
        return statuses

    with models_process(port) as process:
        statuses = through_web(
            settings, port, lambda client: ask_while_it_dies(client, process), token
        )
    assert statuses[0] == 200
    assert set(statuses) == {200, 503}
    with models_process(port):
        assert through_web(settings, port, ask, token).status_code == 200
    answered = statuses.count(200) + 1
    booked = UsageEvent.objects.aggregate(total=Sum("requests"))["total"] or 0
    assert 0 < booked <= answered  # Killed: at most the last second is missing, nothing is double.


@needs_database
@pytest.mark.slow
def test_a_terminated_models_process_answers_what_it_began_and_books_everything(
    deployment, token, settings
):
    port = free_port()
    statuses = []

    async def talk(client):
        body = {"model": "intents", "input": ["my card"] * 500}
        asking = [asyncio.create_task(client.post("/v1/classify", json=body)) for _ in range(20)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*asking, return_exceptions=True)
        statuses.extend(answer.status_code for answer in answers)

    with models_process(port) as process:
        through_web(settings, port, talk, token)
        assert process.wait(60) == 0
    assert statuses.count(200) >= 10, statuses
    assert set(statuses) <= {200, 503}
    booked = UsageEvent.objects.aggregate(total=Sum("requests"))["total"] or 0
    assert booked == statuses.count(200)


@needs_database
@pytest.mark.slow
def test_the_models_process_holds_no_torch_and_little_memory(deployment, token):
    port = free_port()
    with models_process(port) as process:
        headers = {"authorization": f"Bearer {token.secret}"}
        body = {"model": "intents", "input": "card"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/classify", json=body, headers=headers)
        assert answer.status_code == 200
        maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "onnxruntime" in maps
    assert "torch" not in maps


@pytest.mark.slow
def test_the_web_process_holds_neither_torch_nor_the_engines_door():
    check = (
        "import django; django.setup(); import config.asgi, config.urls, sys;"
        "print([name for name in ('torch', 'transformers', 'onnxruntime', 'tokenizers',"
        " 'engine.serving') if name in sys.modules])"
    )
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", check], env=env, cwd=PROJECT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_pass_through_serves_many_event_loops(settings):
    """Each loop has a client of its own; none is used across loops."""

    async def talk(client):
        return await client.get("/v1/models")

    port, statuses = free_port(), []
    settings.MODELS_URL = f"http://127.0.0.1:{port}"
    threads = [
        threading.Thread(
            target=lambda: statuses.append(through_web(settings, port, talk).status_code)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [503] * 4
