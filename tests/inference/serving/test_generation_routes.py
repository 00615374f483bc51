"""The application around a language model of three words: no database, no torch, no artifact."""

import asyncio
import json
import threading
import uuid
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from engine.tasks.generation.sampling import TokenChunk
from engine.tasks.generation.writing.tool_calls import ToolCallReader
from inference.serving import generation_threads
from inference.serving.application import ModelsApp
from inference.serving.model_cache import LoadedModel
from inference.serving.principals import Principal, ServedDeployment

BODY = {"model": "writer", "messages": [{"role": "user", "content": "Hi"}]}
PROMPT_TOKENS = 5
WHOLE = [TokenChunk("Hel", 1), TokenChunk("lo", 2), TokenChunk("", 2, "stop")]


class FakeWriter:
    """Streams these chunks; an exception among them is raised in its place."""

    manifest = SimpleNamespace()
    labels: list[str] = []
    default_sampling = {"temperature": 0.2, "top_p": 0.9}

    def __init__(self, chunks) -> None:
        self.chunks, self.streamed = chunks, 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def encode(self, rows):
        return [[0] * PROMPT_TOKENS for _ in rows]

    def stream_prompt(self, prompt, sampling):
        self.sampling = sampling
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.streamed += 1
            yield chunk
            assert self.may_go_on.wait(30)


def talk_to(writer, talk, base_model="tiny", base=None, *, asks_base=False):
    """Run `talk(app)` with an application that serves the writer to one principal."""

    async def whole():
        app = ModelsApp()
        lookups = app.services.lookups
        principal = Principal(
            uuid.uuid4(), "lathe_x", frozenset({"inference"}), False, asks_base=asks_base
        )
        deployment = ServedDeployment(
            uuid.uuid4(), "writer", datetime.now(UTC), "m1", "k", base_model, "text-generation"
        )
        lookups._tokens._load = answer(principal)
        lookups._deployments._load = answer({"writer": deployment})
        lookups._budgets._load = answer(True)
        models = app.services.model_cache._models
        models["m1"] = LoadedModel("m1", writer, 1)
        if base is not None:
            models[f"base/{base_model}"] = LoadedModel("base", base, 1)
        try:
            return await talk(app)
        finally:
            app.services.generation_threads.close()

    return asyncio.run(whole())


def answer(value):
    async def load(key):
        return value

    return load


def post(app, body, path="/v1/chat/completions"):
    headers = {"authorization": "Bearer lathe_secret"}
    return request(app, "POST", path, json=body, headers=headers)


async def request(app, method, path, **more):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://models") as client:
        return await client.request(method, path, **more)


def used(app) -> int:
    return app.services.usage_counter.unflushed_tokens


def logged(app) -> list[tuple[int, int]]:
    return [(entry.status, entry.tokens) for entry in app.services.usage_counter._logs]


def events_of(response) -> list:
    parts = response.text.split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") for part in parts)
    texts = [part.removeprefix("data: ") for part in parts]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]


@pytest.mark.parametrize(
    ("path", "prompt"),
    [
        ("/v1/chat/completions", {"messages": BODY["messages"]}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/responses", {"input": "Hi"}),
    ],
)
@pytest.mark.parametrize(
    ("chosen", "holds"),
    [
        ({}, (0.2, 0.9)),
        ({"temperature": None}, (0.2, 0.9)),
        ({"temperature": 1}, (1.0, 0.9)),
        ({"temperature": 0, "top_p": 1}, (0.0, 1.0)),
    ],
)
def test_what_the_caller_leaves_out_is_the_models_own(path, prompt, chosen, holds):
    writer = FakeWriter(WHOLE)
    response = talk_to(writer, lambda app: post(app, {"model": "writer"} | prompt | chosen, path))
    assert response.status_code == 200, response.text
    assert (writer.sampling.temperature, writer.sampling.top_p) == holds
    if "responses" in path:
        assert (response.json()["temperature"], response.json()["top_p"]) == holds


def test_a_whole_answer_is_metered_by_what_was_read_and_written():
    async def talk(app):
        response = await post(app, BODY)
        content = response.json()
        assert response.status_code == 200
        assert content["choices"][0]["message"]["content"] == "Hello"
        assert content["choices"][0]["finish_reason"] == "stop"
        assert content["usage"] == {
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 7,
        }
        assert response.headers["x-lathe-model"] == "m1"
        assert response.headers["x-request-id"] == content["id"]
        assert content["id"].startswith("chatcmpl-")
        assert (used(app), logged(app)) == (7, [(200, 7)])

    talk_to(FakeWriter(WHOLE), talk)


def test_a_completion_has_an_id_and_a_shape_of_its_own():
    async def talk(app):
        body = {"model": "writer", "prompt": "Hi"}
        content = (await post(app, body, "/v1/completions")).json()
        assert content["id"].startswith("cmpl-")
        assert (content["object"], content["choices"][0]["text"]) == ("text_completion", "Hello")

    talk_to(FakeWriter(WHOLE), talk)


def test_a_stream_ends_with_its_usage_and_the_word_done():
    async def talk(app):
        options = {"stream": True, "stream_options": {"include_usage": True}}
        response = await post(app, BODY | options)
        *chunks, usage, done = events_of(response)
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["x-accel-buffering"] == "no"
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert deltas == [{"role": "assistant", "content": "Hel"}, {"content": "lo"}, {}]
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert (usage["choices"], usage["usage"]["total_tokens"], done) == ([], 7, "[DONE]")
        assert {chunk["id"] for chunk in chunks} == {response.headers["x-request-id"]}
        assert used(app) == 7

    talk_to(FakeWriter(WHOLE), talk)


def test_an_error_within_a_stream_is_its_last_event_and_what_was_written_counts():
    async def talk(app):
        first, error, done = events_of(await post(app, BODY | {"stream": True}))
        assert first["choices"][0]["delta"]["content"] == "Hel"
        assert error["error"]["code"] == "internal_error"
        assert done == "[DONE]"
        assert used(app) == PROMPT_TOKENS + 1

    talk_to(FakeWriter([WHOLE[0], RuntimeError("out of memory")]), talk)


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_before_the_first_token_is_a_500_that_costs_nothing(stream):
    async def talk(app):
        response = await post(app, BODY | {"stream": stream})
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "internal_error"
        assert used(app) == 0

    talk_to(FakeWriter([RuntimeError("out of memory")]), talk)


@pytest.mark.parametrize("stream", [True, False])
def test_too_many_waiting_answers_are_refused_before_anything_is_sent(monkeypatch, stream):
    monkeypatch.setattr(generation_threads, "MAX_WAITING", 0)

    async def talk(app):
        response = await post(app, BODY | {"stream": stream})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"]["code"] == "overloaded"
        assert logged(app) == [(503, 0)]

    talk_to(FakeWriter(WHOLE), talk)


def scope(path="/v1/chat/completions"):
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer lathe_secret")],
    }


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_writing_and_pays_for_what_was_written(stream):
    writer = FakeWriter([TokenChunk("x", number) for number in range(1, 1000)])
    writer.may_go_on.clear()

    async def talk(app):
        has_left, body = asyncio.Event(), [json.dumps(BODY | {"stream": stream}).encode()]

        async def receive():
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        answering = asyncio.create_task(app(scope(), receive, send))
        while not writer.streamed:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # Until the first token has come out of its thread.
        has_left.set()
        await asyncio.wait_for(answering, 30)
        writer.may_go_on.set()
        assert logged(app) == [(499, PROMPT_TOKENS + 1)]
        assert used(app) == PROMPT_TOKENS + 1
        assert app.services.generation_threads.waiting == 0
        assert app.in_flight == 0

    talk_to(writer, talk)
    assert writer.streamed <= 2


def test_a_connection_that_breaks_while_sending_counts_what_was_written():
    async def talk(app):
        body = [json.dumps(BODY | {"stream": True}).encode()]

        async def receive():
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            return await asyncio.Future()

        async def send(message):
            if message["type"] == "http.response.body":
                raise OSError("broken pipe")

        with pytest.raises(OSError, match="broken pipe"):
            await app(scope(), receive, send)
        assert used(app) > PROMPT_TOKENS
        assert [status for status, _ in logged(app)] == [499]

    talk_to(FakeWriter([TokenChunk("x", number) for number in range(1, 1000)]), talk)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("POST", "/v1/models", 405, "GET"),
        ("POST", "/v1/models/a", 405, "GET"),
        ("GET", "/v1/chat/completions/", 404, None),
        ("GET", "/", 404, None),
        ("GET", "/v1", 404, None),
    ],
)
def test_unknown_addresses_and_methods_have_the_error_shape(method, path, status, allow):
    async def talk(app):
        response = await request(app, method, path)
        assert (response.status_code, response.headers.get("allow")) == (status, allow)
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        text = (await request(app, "GET", "/metrics")).text
        route = "other" if status == 404 else path.replace("models/a", "models/{model}")
        assert f'lathe_requests_total{{route="{route}",status="{status}"}} 1.0' in text

    talk_to(FakeWriter([]), talk)


def test_head_is_answered_like_get_without_a_body():
    async def talk(app):
        response = await request(app, "HEAD", "/healthz")
        assert (response.status_code, response.content) == (200, b"")
        assert int(response.headers["content-length"]) > 0

    talk_to(FakeWriter([]), talk)


def test_metrics_count_tokens_and_read_the_rest_when_asked():
    async def talk(app):
        await post(app, BODY)
        text = (await request(app, "GET", "/metrics")).text
        assert "# TYPE lathe_tokens_total counter\nlathe_tokens_total 7.0" in text
        assert "# TYPE lathe_models_loaded gauge\nlathe_models_loaded 1.0" in text
        assert "# TYPE lathe_batches_total counter\nlathe_batches_total 0.0" in text
        assert 'lathe_request_seconds_bucket{le="0.0025"}' in text
        assert "_created" not in text

    talk_to(FakeWriter(WHOLE), talk)


TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}
CALLING = [
    TokenChunk("Wait. <tool", 1),
    TokenChunk('_call>{"name": "clock", ', 2),
    TokenChunk('"arguments": {"n": 1}}</tool_call>', 3),
    TokenChunk("", 3, "stop"),
]


class FakeCaller(FakeWriter):
    """The same for a template with tools, in Hermes' notation."""

    def encode_with_tools(self, chat, request):
        self.chat, self.request = chat, request
        return [0] * PROMPT_TOKENS

    def tool_call_reader(self, request):
        return ToolCallReader(request, has_marks=True)

    def tool_call_schema(self, request):
        return {"type": "object"}


def test_calls_of_functions_are_told_whole_and_as_a_stream():
    async def talk(app):
        body = BODY | {"tools": [TOOL], "stream_options": {"include_usage": True}}
        whole = (await post(app, body)).json()
        (choice,) = whole["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] == "Wait. "
        (call,) = choice["message"]["tool_calls"]
        assert call["function"] == {"name": "clock", "arguments": '{"n": 1}'}
        sent = (await post(app, body | {"stream": True})).text
        chunks = [json.loads(line[6:]) for line in sent.splitlines() if line.startswith("data: {")]
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
        assert "".join(delta.get("content", "") for delta in deltas) == "Wait. "
        (told,) = deltas[-1]["tool_calls"]
        assert (told["index"], told["function"]) == (0, call["function"])
        assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
        assert chunks[-1]["usage"] == whole["usage"]
        # What the client did with the call comes back.
        answered = [
            *BODY["messages"],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "noon"},
        ]
        again = await post(app, body | {"messages": answered})
        assert again.status_code == 200

    writer = FakeCaller(CALLING)
    talk_to(writer, talk)
    assert writer.chat[1]["tool_calls"][0]["function"]["arguments"] == {"n": 1}
    assert writer.chat[2]["role"] == "tool"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": [{"type": "retrieval"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0]"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [TOOL] * 129}, "tools"),
        ({"tools": "x"}, "tools"),
        ({"tools": [TOOL], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "parallel_tool_calls": 1.5}, "parallel_tool_calls"),
        ({"tools": [{**TOOL, "function": {"name": "a", "strict": True}}]}, "tools[0].function.s"),
        (
            {
                "messages": [
                    *BODY["messages"],
                    {"role": "tool", "content": "x", "tool_call_id": "?"},
                ]
            },
            "messages[1].tool_call_id",
        ),
        (
            {"messages": [*BODY["messages"], {"role": "assistant", "tool_calls": [{"id": "a"}]}]},
            "messages[1].tool_calls",
        ),
    ],
)
def test_a_wrong_tool_is_named(change, param):
    async def talk(app):
        answer = await post(app, BODY | change)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"].startswith(param)

    talk_to(FakeCaller(WHOLE), talk)


BASE = "SmolLM2-135M-Instruct"


def test_the_base_model_answers_whoever_asks_for_it_and_is_billed_as_such():
    base = FakeWriter([TokenChunk("Base", 1), TokenChunk("", 1, "stop")])

    async def talk(app):
        response = await post(app, BODY)
        assert response.json()["choices"][0]["message"]["content"] == "Base"
        ((_, source, _),) = app.services.usage_counter._counts
        assert source == f"base-model:{BASE}"
        assert logged(app) == []  # The log belongs to the endpoint.

    talk_to(FakeWriter(WHOLE), talk, BASE, base, asks_base=True)


def test_nobody_else_gets_the_base_model():
    base = FakeWriter([TokenChunk("Base", 1), TokenChunk("", 1, "stop")])

    async def talk(app):
        response = await post(app, BODY)
        assert response.json()["choices"][0]["message"]["content"] == "Hello"

    talk_to(FakeWriter(WHOLE), talk, BASE, base)


@pytest.mark.parametrize("base_model", ["unknown", "tiny-language-model", "Qwen2.5-0.5B-Instruct"])
def test_a_base_that_is_not_here_is_refused_by_name(base_model):
    async def talk(app):
        response = await post(app, BODY)
        assert response.status_code == 400
        assert f"{base_model} is not on this machine" in response.json()["error"]["message"]

    talk_to(FakeWriter(WHOLE), talk, base_model, asks_base=True)
