"""Replies told sentence by sentence, through the real doors, while a writer still writes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from assistants.conversations import state
from assistants.lifecycle import add_channel
from assistants.models import Assistant, Channel, Conversation, Decision
from assistants.writing.grounding import iter_sentences, split_sentences
from assistants.writing.upstream import Writing
from assistants.writing.writers import Writer, WriterSettings
from tests.assistants.writing.slow_writer import (
    FIRST,
    INVENTED,
    PRIVATE_WRITER,
    QUESTION,
    SECOND,
    SlowWriter,
    let_write,
)
from tests.inference.processes import free_port, models_process
from tests.web.guard.served import web_process

SITE = "https://shop.example"


@pytest.fixture
def writer() -> Iterator[SlowWriter]:
    writer = SlowWriter()
    yield writer
    writer.close()


def events_of(response: httpx.Response) -> Iterator[dict]:
    for line in response.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_sentences_are_told_before_the_last_is_written(documented, token, alice, writer):
    assistant = documented.assistant
    web = add_channel(assistant, Channel.Kind.WEB, alice, allowed_origins=[SITE])
    let_write(documented, writer.url)
    models_port = free_port()
    models_url = f"http://127.0.0.1:{models_port}"
    with (
        models_process(models_port),
        web_process(MODELS_URL=models_url, **PRIVATE_WRITER) as served,
        httpx.Client(
            base_url=f"http://127.0.0.1:{served.port}",
            headers={"Authorization": f"Bearer {token.secret}"},
            timeout=30,
        ) as client,
    ):
        consult_is_told(client, writer)
        chat_is_told(client, writer)
        widget_is_told(client, web, writer)
        who_leaves_is_answered_all_the_same(client, writer)
        a_person_is_not_spoken_over(client, alice, writer)
        refusals_come_before_the_stream(client)


@contextmanager
def asked(client: httpx.Client, writer: SlowWriter, path: str, body: dict, **headers: str):
    """The events of a stream whose writer has not ended."""
    writer.may_end.clear()
    with client.stream("POST", path, json=body, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events_of(response)


def consult_is_told(client, writer):
    body = {"text": QUESTION, "stream": True}
    with asked(client, writer, "/v1/assistants/shop-help/consult", body) as events:
        assert next(events) == {"object": "assistant.reply.delta", "delta": FIRST}
        assert not writer.may_end.is_set()
        writer.may_end.set()
        *deltas, reply = events
    assert [one["delta"] for one in deltas] == [f" {SECOND}"]
    assert (reply["route"], reply["response"]) == ("written", f"{FIRST} {SECOND}")
    assert reply["usage"]["tokens"] == 42
    decision = Decision.objects.get(pk=reply["id"])
    assert [one["text"] for one in decision.held_back] == [INVENTED, FIRST]
    assert decision.reply.text == reply["response"]


def chat_is_told(client, writer):
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": "assistant:shop-help", "messages": messages, "stream": True}
    with asked(client, writer, "/v1/chat/completions", body) as events:
        first = next(events)
        assert first["choices"][0]["delta"] == {"role": "assistant", "content": FIRST}
        writer.may_end.set()
        second, last = events
    assert second["choices"][0]["delta"] == {"content": f" {SECOND}"}
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["assistant"]["response"] == f"{FIRST} {SECOND}"
    assert first["id"] == second["id"] == last["id"]


def widget_is_told(client, channel, writer):
    path, body = f"/w/{channel.public_key}/messages", {"text": QUESTION, "id": "1"}
    with asked(client, writer, path, body, Accept="text/event-stream") as events:
        assert next(events) == {"delta": FIRST}
        writer.may_end.set()
        second, last = events
    assert second == {"delta": f" {SECOND}"}
    assert [one["text"] for one in last["messages"]] == [QUESTION, f"{FIRST} {SECOND}"]
    assert last["visitor"]


def who_leaves_is_answered_all_the_same(client, writer):
    body = {"text": QUESTION, "stream": True, "visitor": "leaves"}
    with asked(client, writer, "/v1/assistants/shop-help/consult", body) as events:
        next(events)
    writer.may_end.set()
    decisions = Decision.objects.filter(message__conversation__visitor__isnull=False)
    deadline = time.monotonic() + 10
    while not (row := decisions.order_by("-pk").filter(message__channel__kind="api").first()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert row.reply.text == f"{FIRST} {SECOND}"


def a_person_is_not_spoken_over(client, alice, writer):
    body = {"text": QUESTION, "stream": True, "visitor": "meets-a-person"}
    with asked(client, writer, "/v1/assistants/shop-help/consult", body) as events:
        next(events)
        conversation = Conversation.objects.order_by("-opened_at").first()
        state.hand_over(conversation, "rule")
        state.take(conversation, alice)
        writer.may_end.set()
        (last,) = events
    assert (last["route"], last["response"]) == ("person", "")
    assert not conversation.messages.filter(author="bot").exists()


def refusals_come_before_the_stream(client):
    body = {"text": "x" * 2_001, "stream": True}
    refused = client.post("/v1/assistants/shop-help/consult", json=body)
    assert refused.status_code == 400
    assert "2,000 characters" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "text",
    [
        "One thing. [1] Another 4.95! [2]\nThird。[1][2] Fourth",
        "运费为25元[1]。订单可在三十天内退货 [1] 。完。[12] [3",
        "Wait... what [1]? See shop.example/returns [1]. [x] [2] No end [",
        "\n\n [1] Alone.\n\n[2]\nA.[1]B. [1][1] ",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 500])
def test_sentences_are_the_same_in_whatever_pieces_they_come(text, size):
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(iter_sentences(pieces)) == split_sentences(text)


def test_a_writer_that_refuses_streams_is_asked_for_the_whole(writer, settings):
    settings.WEBHOOKS_ALLOW_HTTP = settings.WEBHOOKS_ALLOW_PRIVATE = True
    writer.streams = False
    unsaved = Assistant(writer_url="", writer_key="", writer_keys={})
    asked = Writer(WriterSettings(model="w", url=writer.url), unsaved)
    writing = Writing(asked, [{"role": "user", "content": "q"}], 8, in_pieces=True)
    assert list(writing.pieces()) == [f"{FIRST} [1]"]
    assert (writing.tokens, len(writer.asked)) == (7, 2)
    assert "stream" not in writer.asked[1]
