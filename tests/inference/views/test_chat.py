"""The chat of a language model's page: what is sent to the models process, and what comes back."""

import asyncio
import json

import httpx
import pytest
from django.urls import reverse

from inference.gateway import internal_token

pytestmark = pytest.mark.django_db
EVENT = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n'
QUESTION = [{"role": "user", "content": "Where is my refund?"}]


@pytest.fixture
def writer(deployment):
    deployment.model.task, deployment.model.base_model = "text-generation", "SmolLM2-135M-Instruct"
    deployment.model.save()
    return deployment


@pytest.fixture
def models(monkeypatch):
    """Answers in place of the models process; keeps what it was asked."""
    asked = []

    def answer(request):
        asked.append((json.loads(request.content), request.headers[internal_token.HEADER]))
        if "spent" in request.content.decode():
            return httpx.Response(402, json={"error": {"message": "The money is spent."}})
        return httpx.Response(200, content=EVENT)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr("inference.gateway.models_client.AsyncModelsTransport", lambda: transport)
    return asked


def ask(client, deployment, messages, **fields):
    address = reverse("inference:chat", args=[deployment.pk])
    response = client.post(address, {"messages": json.dumps(messages), **fields})
    if not response.streaming:
        return response.status_code, response.json()

    async def read():
        return b"".join([part async for part in response.parts])

    return response.status_code, asyncio.run(read())


def test_the_whole_chat_is_asked_and_streamed(writer, client, alice, models):
    client.force_login(alice)
    chat = [*QUESTION, {"role": "assistant", "content": "Soon."}, *QUESTION]
    assert ask(client, writer, chat) == (200, EVENT)
    ((body, token),) = models
    assert (body["model"], body["messages"], body["stream"]) == (writer.name, chat, True)
    caller = internal_token.verify_token(token)
    assert (caller.team_id, caller.asks_base) == (writer.team_id, False)


def test_the_base_model_is_asked_by_a_token_that_says_so(writer, client, alice, models):
    client.force_login(alice)
    ask(client, writer, QUESTION, by_base="1")
    assert internal_token.verify_token(models[0][1]).asks_base


def test_a_refusal_is_an_event(writer, client, alice, models):
    client.force_login(alice)
    status, events = ask(client, writer, [{"role": "user", "content": "spent"}])
    assert status == 200
    assert json.loads(events[6:])["error"]["message"] == "The money is spent."


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "text",
        [{"role": "user"}],
        [{"role": "tool", "content": "x"}],
        [*QUESTION, {"role": "assistant", "content": "Last"}],
        [{"role": "user", "content": "x" * 10_001}],
        [{"role": "user", "content": 5}],
    ],
)
def test_what_is_no_chat_is_refused_in_words(writer, client, alice, models, messages):
    client.force_login(alice)
    status, content = ask(client, writer, messages)
    assert status == 400
    assert content["error"]["message"].endswith(".")
    assert models == []


def test_viewers_and_strangers_may_not_spend(writer, client, vera, mallory, models):
    for person, expected in ((vera, 403), (mallory, 404)):
        client.force_login(person)
        address = reverse("inference:chat", args=[writer.pk])
        assert client.post(address, {"messages": json.dumps(QUESTION)}).status_code == expected
    assert models == []


def test_the_page_offers_the_base_only_where_there_is_one(writer, client, alice):
    client.force_login(alice)
    page = reverse("inference:deployment", args=[writer.pk])
    assert 'data-pane="base"' in client.get(page).content.decode()
    writer.model.base_model = "tiny-language-model"
    writer.model.save()
    assert 'data-pane="base"' not in client.get(page).content.decode()
