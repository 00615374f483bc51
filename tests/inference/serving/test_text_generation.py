"""/v1/chat/completions and /v1/completions, asked by the official openai client."""

import json
import socket
import time

import openai
import pytest
from django.db.models import Sum

from billing.models import UsageEvent
from engine.artifact import Inputs, Manifest, Serving, Target, create_build_folder, publish
from inference import deployments
from inference.models import RequestLog
from inference.snippets import snippets_for
from projects import storage
from tests.inference.processes import free_port, models_process
from training.models import TrainedModel

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
MOST_TOKENS = 30_000  # Minutes of writing.
HELLO = [{"role": "user", "content": "Hello there"}]


def write_artifact(folder, context=128, *, is_endless=False):
    """A language model of random weights with a tokenizer of bytes; an endless one never stops by
    itself while the likeliest token is taken."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from engine.tasks.generation.base_models import train_tokenizer

    building = create_build_folder(folder)
    tokenizer = train_tokenizer(["Hello there"], 300)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=context,
        eos_token_id=tokenizer.eos_token_id,
    )
    network = LlamaForCausalLM(config)
    if is_endless:  # Of two opposite logits one is above zero, which is what the end gets.
        one, other = tokenizer("ab", add_special_tokens=False).input_ids[:2]
        with torch.no_grad():
            head = network.lm_head.weight
            head[tokenizer.all_special_ids] = 0.0
            head[one], head[other] = torch.ones(16), -torch.ones(16)
    network.save_pretrained(building)
    tokenizer.save_pretrained(building)
    manifest = Manifest(
        task="text-generation",
        base_model="tiny",
        inputs=Inputs(kind="chat", columns=["messages"], max_length=context),
        target=Target(kind="text"),
        serving=Serving(file="model.safetensors", format="transformers"),
    )
    publish(building, folder, manifest)
    return folder


@pytest.fixture
def writer(dataset_version, tmp_path, alice):
    return deployed(dataset_version, tmp_path, alice)


@pytest.fixture
def endless_writer(dataset_version, tmp_path, alice):
    return deployed(dataset_version, tmp_path, alice, context=MOST_TOKENS * 2, is_endless=True)


def deployed(dataset_version, tmp_path, alice, **kind):
    project = dataset_version.dataset.project
    model = TrainedModel(
        team=project.team,
        project=project,
        dataset_version=dataset_version,
        name="Writer",
        task="text-generation",
        base_model="tiny",
        labels=[],
    )
    model.artifact_key = f"artifacts/{model.pk}"
    storage.put_folder(model.artifact_key, write_artifact(tmp_path / str(model.pk), **kind))
    model.save()
    return deployments.deploy(model, "writer", alice)


def asking(client, token):
    return openai.AsyncOpenAI(
        base_url="http://models/v1", api_key=token.secret, http_client=client, max_retries=0
    )


def test_a_chat_is_answered_whole_and_streamed_with_the_same_text(writer, token, with_models):
    async def talk(client, app):
        chats = asking(client, token).chat.completions
        facts = {"model": "writer", "messages": HELLO, "max_tokens": 8, "seed": 5}
        whole = await chats.create(**facts)
        assert whole.id.startswith("chatcmpl-")
        (choice,) = whole.choices
        assert (whole.object, choice.message.role) == ("chat.completion", "assistant")
        assert choice.finish_reason in ("stop", "length")
        assert whole.usage.completion_tokens <= 8
        options = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await chats.create(**facts, **options)]
        text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
        assert text == choice.message.content
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-2].choices[0].finish_reason == choice.finish_reason
        assert chunks[-1].usage == whole.usage
        assert len({chunk.id for chunk in chunks}) == 1

    with_models(talk, token)
    used = UsageEvent.objects.aggregate(Sum("units"))["units__sum"]
    assert used > 0
    assert RequestLog.objects.filter(deployment=writer, status=200).count() == 2


def test_a_prompt_is_completed_in_the_older_shape(writer, token, with_models):
    async def talk(client, app):
        completions = asking(client, token).completions
        facts = {"model": "writer", "prompt": "Hello", "max_tokens": 4, "temperature": 0}
        whole = await completions.create(**facts)
        assert whole.object == "text_completion"
        chunks = [chunk async for chunk in await completions.create(**facts, stream=True)]
        assert "".join(c.choices[0].text for c in chunks) == whole.choices[0].text

    with_models(talk, token)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "word " * 300}]}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": "much"}, "top_p"),
        ({"presence_penalty": -2.5}, "presence_penalty"),
        ({"frequency_penalty": "some"}, "frequency_penalty"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"n": 0}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json"}}, "response_format"),
    ],
)
def test_bad_input_is_refused_with_its_parameter(writer, token, with_models, change, param):
    async def talk(client, app):
        for stream in (False, True):
            body = {"model": "writer", "messages": HELLO, "stream": stream} | change
            answer = await client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 400, answer.text
            error = answer.json()["error"]
            assert (error["code"], error["param"]) == ("invalid_parameter", param)
            assert error["message"].endswith(".")

    with_models(talk, token)


def test_each_kind_of_model_names_the_other_address(writer, deployment, token, with_models):
    async def talk(client, app):
        body = {"model": "intents", "messages": HELLO}
        answer = await client.post("/v1/chat/completions", json=body)
        assert "/v1/classify" in answer.json()["error"]["message"]
        answer = await client.post("/v1/classify", json={"model": "writer", "input": "Hello"})
        assert "/v1/chat/completions" in answer.json()["error"]["message"]
        assert (await client.get("/v1/info?model=writer")).json()["task"] == "text-generation"
        with pytest.raises(openai.NotFoundError):
            await asking(client, token).chat.completions.create(model="nobody", messages=HELLO)

    with_models(talk, token)


def test_the_snippets_of_a_writer_ask_for_chats(writer):
    codes = [one.code for one in snippets_for(writer)]
    assert all("chat" in code for code in codes)


def test_a_penalty_changes_what_is_written(endless_writer, token, with_models):
    async def talk(client, app):
        chats = asking(client, token).chat.completions
        facts = {"model": "writer", "messages": HELLO, "max_tokens": 24, "temperature": 0}
        plain = (await chats.create(**facts)).choices[0].message.content
        penalised = (await chats.create(**facts, frequency_penalty=2)).choices[0].message.content
        assert (await chats.create(**facts, frequency_penalty=0)).choices[
            0
        ].message.content == plain
        assert penalised != plain

    with_models(talk, token)


def left_early(port, token, *, is_stream, seconds=0.0):
    """A request over a socket that is closed after the first bytes of a stream, or so long."""
    body = {"model": "writer", "messages": HELLO, "max_tokens": MOST_TOKENS, "temperature": 0}
    text = json.dumps(body | {"stream": is_stream})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: models\r\n"
        f"authorization: Bearer {token.secret}\r\ncontent-length: {len(text)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall((head + text).encode())
        if is_stream:
            while client.recv(4096).count(b"data:") < 2:
                pass
        time.sleep(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("is_stream", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_who_leaves_early_stops_the_writing_and_pays_for_what_was_written(
    endless_writer, token, is_stream
):
    port = free_port()
    with models_process(port) as process:
        left_early(port, token, is_stream=is_stream, seconds=0 if is_stream else 3)
        deadline = time.monotonic() + 120
        while not (rows := list(RequestLog.objects.filter(status=499))):
            assert time.monotonic() < deadline, "the writing goes on"
            time.sleep(0.1)
        process.terminate()
        assert process.wait(60) == 0  # It has written everything, and nobody writes any more.
    [row] = rows
    assert row.tokens < MOST_TOKENS
    used = UsageEvent.objects.aggregate(Sum("units"))["units__sum"] or 0
    assert used == row.tokens
    assert RequestLog.objects.count() == 1


SCHEMA = {
    "type": "object",
    "properties": {"sure": {"type": "boolean"}, "city": {"enum": ["Rome", "Oslo"]}},
    "required": ["sure", "city"],
    "additionalProperties": False,
}


@pytest.mark.usefixtures("writer")
def test_an_answer_follows_a_json_schema_whatever_the_model_would_say(token, with_models):
    shape = {"type": "json_schema", "json_schema": {"name": "guess", "schema": SCHEMA}}

    async def talk(client, app):
        chats = asking(client, token).chat.completions
        for seed in range(3):
            whole = await chats.create(
                model="writer",
                messages=HELLO,
                max_tokens=90,
                seed=seed,
                response_format=shape,
            )
            content = json.loads(whole.choices[0].message.content)
            assert set(content) == {"sure", "city"}
            assert content["city"] in ("Rome", "Oslo")
            assert whole.choices[0].finish_reason == "stop"
        anything = await chats.create(
            model="writer", messages=HELLO, max_tokens=5, seed=1,
            response_format={"type": "json_object"},
        )  # fmt: skip
        assert anything.choices[0].message.content.lstrip().startswith("{")
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "banana"}}}
        with pytest.raises(openai.BadRequestError) as refused:
            await chats.create(model="writer", messages=HELLO, response_format=bad)
        assert refused.value.param == "response_format"

    with_models(talk, token)


@pytest.mark.usefixtures("writer")
def test_several_answers_are_several_and_repeatable(token, with_models):
    facts = {"model": "writer", "messages": HELLO, "max_tokens": 6, "seed": 5, "n": 3}

    async def talk(client, app):
        chats = asking(client, token).chat.completions
        whole, again = await chats.create(**facts), await chats.create(**facts)
        texts = [choice.message.content for choice in whole.choices]
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        assert texts == [choice.message.content for choice in again.choices]
        assert len(set(texts)) > 1
        streamed = ["", "", ""]
        async for chunk in await chats.create(**facts, stream=True):
            for choice in chunk.choices:
                streamed[choice.index] += choice.delta.content or ""
        assert streamed == texts
        assert whole.usage.completion_tokens <= 18

    with_models(talk, token)


@pytest.mark.usefixtures("writer")
def test_probabilities_of_tokens_are_the_models_own(token, with_models):
    import math

    async def talk(client, app):
        api = asking(client, token)
        facts = {"model": "writer", "max_tokens": 4, "temperature": 0}
        chat = await api.chat.completions.create(
            **facts, messages=HELLO, logprobs=True, top_logprobs=5
        )
        content = chat.choices[0].logprobs.content
        assert content
        for one in content:
            assert one.logprob <= 0
            assert len(one.top_logprobs) == 5
            best = one.top_logprobs[0]
            assert (best.token, best.logprob) == (one.token, one.logprob)  # Temperature 0.
            assert sum(math.exp(top.logprob) for top in one.top_logprobs) <= 1 + 1e-5
        spelled = b"".join(bytes(one.bytes) for one in content)
        assert spelled.decode("utf-8", "replace") == chat.choices[0].message.content
        older = await api.completions.create(**facts, prompt="Hello there", logprobs=2, echo=True)
        (choice,) = older.choices
        assert choice.text.startswith("Hello there")
        assert choice.logprobs.text_offset[0] == len("Hello there")
        assert all(len(top) <= 2 for top in choice.logprobs.top_logprobs)

    with_models(talk, token)


@pytest.mark.usefixtures("writer")
def test_prompts_may_be_token_ids_and_a_bias_forbids_or_forces_a_token(token, with_models):
    async def talk(client, app):
        api = asking(client, token)
        facts = {"model": "writer", "max_tokens": 3}
        several = await api.completions.create(**facts, prompt=[[5, 6, 7], [8]], n=2)
        assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
        assert several.usage.prompt_tokens == 4
        forced = await api.completions.create(
            **facts, prompt=[5, 6], logit_bias={"70": 100}, temperature=0, logprobs=0
        )
        assert len(set(forced.choices[0].logprobs.tokens)) == 1
        for body, param in (
            ({"prompt": [999_999]}, "prompt"),
            ({"prompt": "a", "logit_bias": {"999999": 1}}, "logit_bias"),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await api.completions.create(**facts, **body)
            assert refused.value.param == param

    with_models(talk, token)


@pytest.mark.usefixtures("writer")
def test_a_body_may_be_gzip_and_nothing_else(token, with_models):
    import gzip

    body = json.dumps({"model": "writer", "messages": HELLO, "max_tokens": 1}).encode()

    async def talk(client, app):
        async def send(content, encoding):
            headers = {"content-encoding": encoding, "content-type": "application/json"}
            return await client.post("/v1/chat/completions", content=content, headers=headers)

        assert (await send(gzip.compress(body), "gzip")).status_code == 200
        assert (await send(body, "identity")).status_code == 200
        assert (await send(body, "br")).status_code == 415
        assert (await send(body, "gzip")).status_code == 400
        assert (await send(gzip.compress(body)[:-9], "gzip")).status_code == 400
        bomb = gzip.compress(b" " * 50_000_000)
        assert (await send(bomb, "gzip")).status_code == 413

    with_models(talk, token)


@pytest.mark.usefixtures("writer")
def test_the_newer_address_answers_what_needs_no_memory(token, with_models):
    facts = {"model": "writer", "temperature": 0, "max_output_tokens": 6}

    async def talk(client, app):
        api = asking(client, token).responses
        whole = await api.create(**facts, input="Hello there", instructions="Be brief.")
        assert whole.id.startswith("resp-")
        assert whole.status in ("completed", "incomplete")
        assert whole.usage.output_tokens <= 6
        parts = [{"type": "input_text", "text": "Hello there"}]
        stream = await api.create(
            **facts, input=[{"role": "user", "content": parts}], instructions="Be brief.",
            stream=True,
        )  # fmt: skip
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[0].type == "response.created"
        assert events[-1].type == f"response.{whole.status}"
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == whole.output_text == events[-1].response.output_text
        for body, param in (
            ({"previous_response_id": "resp_1"}, "previous_response_id"),
            ({"store": True}, "store"),
            ({"tools": [{"type": "web_search"}]}, "tools"),
            ({"input": ""}, "input"),
            ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
             "input[0].content[0]"),
        ):  # fmt: skip
            with pytest.raises(openai.BadRequestError) as refused:
                await api.create(**(facts | {"input": "Hi"} | body))
            assert refused.value.param == param

    with_models(talk, token)
