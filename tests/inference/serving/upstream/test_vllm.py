"""Language models that vLLM answers: what is sent, metered and told of each way it can go wrong."""

import asyncio
import json
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

from engine.catalog import CATALOG
from engine.errors import BadTrainingData
from engine.tasks.generation.sampling import Sampling
from inference.gateway.upstream import vllm
from inference.serving.application import ModelsApp
from inference.serving.model_cache import LoadedModel
from inference.serving.principals import OtherModel, Principal, ServedDeployment
from inference.serving.routes.generation import open_model
from inference.serving.upstream import vllm_models
from inference.serving.upstream.vllm_models import UpstreamModel
from tests.inference.processes import free_port
from tests.inference.serving.test_generation_routes import (
    BODY,
    FakeWriter,
    TokenChunk,
    answer,
    events_of,
    logged,
    post,
    request,
    used,
)
from tests.inference.vllm_stand_in import BASE, VllmStandIn, error, serving

MODEL = "8f6c2b1e-0000-4000-8000-000000000001"
PROMPT_TOKENS = 5
OWN = [TokenChunk("own", 1), TokenChunk("", 1, "stop")]


BASE_ENTRY = CATALOG["SmolLM2-135M-Instruct"]
MANIFEST = SimpleNamespace(inputs=SimpleNamespace(max_length=20, features=[]))


class FakePrompts:
    """Every prompt has these tokens; the model reads 20."""

    stop_token_ids = [2, 7]
    default_sampling: dict[str, float] = {}
    tokenizer = SimpleNamespace(
        convert_ids_to_tokens=lambda token: {3: "Hel", 4: "lo"}[token],
        added_tokens_decoder={},
        chat_template="",
    )

    def encode(self, rows):
        return [list(range(PROMPT_TOKENS)) for _ in rows]

    def max_new_tokens(self, prompt_tokens, sampling):
        if sampling.max_tokens == 999:
            raise BadTrainingData("prompt_too_long", "The prompt is too long.")
        return min(20 - prompt_tokens, sampling.max_tokens or 256)


@pytest.fixture
def fetched(monkeypatch, settings, tmp_path):
    """Adapters come from here instead of the artifact store."""
    settings.VLLM_ADAPTERS_DIR = str(tmp_path / "adapters")
    settings.VLLM_MAX_ADAPTERS = 2
    keys = []

    def fetch(key, folder, is_wanted):
        keys.append(key)
        assert is_wanted("adapter/adapter_model.safetensors")
        assert not is_wanted("model.safetensors")
        (folder / "adapter").mkdir(parents=True, exist_ok=True)
        (folder / "adapter" / "adapter_config.json").write_text("{}")

    monkeypatch.setattr(vllm_models.storage, "fetch_folder", fetch)
    return keys


def talk_to(settings, stand_ins, talk, *, is_adapter=True, model=MODEL, **of_deployment):
    """Run `talk(app)` with an application that serves one language model, which these stand-ins may
    answer; one that is None is down."""
    with ExitStack() as stack:
        settings.VLLM_URLS = [
            stack.enter_context(serving(one)) + "/v1" if one else f"http://127.0.0.1:{free_port()}"
            for one in stand_ins
        ]
        vllm._servers_at.cache_clear()
        asyncio.run(_converse(talk, is_adapter=is_adapter, model=model, **of_deployment))


async def _converse(talk, *, is_adapter, model, **of_deployment):
    app = ModelsApp()
    lookups, models = app.services.lookups, app.services.model_cache
    principal = Principal(uuid.uuid4(), "lathe_x", frozenset({"inference"}), False)
    facts = {"base_model": "SmolLM2-135M-Instruct", "artifact_key": "k", "name": "writer"}
    facts |= {"deployment_id": uuid.uuid4(), "created_at": datetime.now(UTC), "model_id": model}
    deployment = ServedDeployment(**facts | {"task": "text-generation"} | of_deployment)
    lookups._tokens._load = answer(principal)
    lookups._deployments._load = answer({"writer": deployment})
    lookups._budgets._load = answer(True)
    for known in (model, f"{model}-canary"):
        models._models[known] = LoadedModel(known, FakeWriter(OWN), 1)
        upstream = UpstreamModel(
            known, "k", CATALOG[deployment.base_model], FakePrompts(), MANIFEST, is_adapter
        )
        models._models[f"{known}/prompts"] = LoadedModel(f"{known}/prompts", upstream, 1)
    try:
        await talk(app)
    finally:
        app.services.generation_threads.close()


def text_of(response) -> str:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_an_adapter_is_loaded_by_name_and_its_answer_metered_by_what_vllm_counts(settings, fetched):
    stand_in = VllmStandIn(words=("Hel", "lo", " you"), api_key="secret")
    settings.VLLM_API_KEY = "secret"

    async def talk(app):
        response = await post(app, BODY | {"seed": 7, "stop": "x", "top_p": 0.5, "max_tokens": 9})
        assert text_of(response) == "Hello you"
        assert response.json()["model"] == "writer"
        assert response.json()["usage"] == {
            "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8,
        }  # fmt: skip
        assert response.headers["x-lathe-model"] == MODEL
        assert (used(app), logged(app)) == (8, [(200, 8)])
        assert text_of(await post(app, BODY)) == "Hello you"

    talk_to(settings, [stand_in], talk)
    settings.VLLM_API_KEY = ""
    assert stand_in.calls.count("/v1/load_lora_adapter") == 1
    assert stand_in.adapters == {MODEL: f"{settings.VLLM_ADAPTERS_DIR}/{MODEL}/adapter"}
    sent = stand_in.asked[0]
    assert (sent["model"], sent["prompt"], sent["stop_token_ids"]) == (
        MODEL,
        [0, 1, 2, 3, 4],
        [2, 7],
    )
    assert (sent["seed"], sent["stop"], sent["top_p"], sent["max_tokens"]) == (7, ["x"], 0.5, 9)
    assert (sent["top_k"], sent["repetition_penalty"], sent["temperature"]) == (-1, 1.0, 1.0)
    assert stand_in.asked[1]["max_tokens"] == 15


def test_a_stream_ends_with_the_usage_that_vllm_tells(settings, fetched):
    async def talk(app):
        options = {"stream": True, "stream_options": {"include_usage": True}}
        *chunks, usage, done = events_of(await post(app, BODY | options))
        deltas = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
        assert deltas == ["Hel", "lo", None]
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
        assert (usage["usage"]["total_tokens"], done) == (7, "[DONE]")
        assert used(app) == 7

    talk_to(settings, [VllmStandIn(reason="length")], talk)
    talk_to(settings, [VllmStandIn(reason="length", counts_each=False)], talk)


def test_the_older_and_the_newer_address_are_answered_from_there_too(settings, fetched):
    async def talk(app):
        written = (await post(app, {"model": "writer", "prompt": "Hi"}, "/v1/completions")).json()
        assert written["choices"][0]["text"] == "Hello"
        told = (await post(app, {"model": "writer", "input": "Hi"}, "/v1/responses")).json()
        assert told["output"][0]["content"][0]["text"] == "Hello"

    talk_to(settings, [VllmStandIn()], talk)


def test_a_full_fine_tune_is_asked_by_its_id_and_others_are_answered_here(settings, fetched):
    async def there(app):
        assert text_of(await post(app, BODY)) == "Hello"

    async def here(app):
        assert text_of(await post(app, BODY)) == "own"
        assert (used(app), logged(app)) == (6, [(200, 6)])

    talk_to(settings, [VllmStandIn(models=[MODEL])], there, is_adapter=False)
    talk_to(settings, [VllmStandIn()], here, is_adapter=False)
    talk_to(settings, [VllmStandIn(models=["another"])], here)
    talk_to(settings, [], here)
    assert fetched == []


def test_a_canary_is_asked_by_its_own_name(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        for _ in range(2):
            await post(app, BODY)

    canary = {"canary": OtherModel(f"{MODEL}-canary", "k"), "canary_percent": 100}
    talk_to(settings, [stand_in], talk, **canary)
    assert {body["model"] for body in stand_in.asked} == {f"{MODEL}-canary"}


def test_the_adapter_used_longest_ago_makes_room(settings, fetched, tmp_path):
    stand_in = VllmStandIn(adapters={"somebody-elses": "/elsewhere"})
    folder = tmp_path / "adapters"

    async def talk(app):
        models = app.services.vllm
        await models.refresh()
        (server,) = models._servers.values()
        prompts = FakePrompts()
        for name in ("a", "b", "a", "c"):
            model = UpstreamModel(name, "k", BASE_ENTRY, prompts, MANIFEST, True)
            assert models.name_at(server, model) == name

    talk_to(settings, [stand_in], talk)
    assert set(stand_in.adapters) == {"somebody-elses", "a", "c"}
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c"]


def test_an_adapter_that_another_process_unloaded_or_loaded_meanwhile(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        assert text_of(await post(app, BODY)) == "Hello"
        stand_in.adapters.clear()
        assert text_of(await post(app, BODY)) == "Hello"
        assert used(app) == 14
        (server,) = app.services.vllm._servers.values()
        server.served = vllm.ServedModels(
            frozenset(), server.served.bases, {}
        )  # Not known to be loaded.
        assert text_of(await post(app, BODY)) == "Hello"

    talk_to(settings, [stand_in], talk)
    assert stand_in.calls.count("/v1/load_lora_adapter") == 3


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        ((400, error(400, "maximum context length is 20")), 400, "invalid_parameter"),
        ((422, "not JSON"), 400, "invalid_parameter"),
        ((429, {"error": {"message": "busy"}}), 503, "overloaded"),
        ((503, ""), 503, "overloaded"),
        ((500, {"detail": []}), 503, "service_unavailable"),
        ((401, {"error": "Unauthorized"}), 503, "service_unavailable"),
    ],
)
def test_what_vllm_refuses_is_told_and_costs_nothing(settings, fetched, refusal, status, code):
    async def talk(app):
        response = await post(app, BODY)
        told = response.json()["error"]
        assert (response.status_code, told["code"]) == (status, code)
        if status == 400:
            assert "maximum context" in told["message"] or "not JSON" in told["message"]
        else:
            assert int(response.headers["retry-after"]) >= 1
        assert (used(app), logged(app)) == (0, [(status, 0)])

    talk_to(settings, [VllmStandIn(refuses=[refusal])], talk)


def test_an_adapter_that_the_server_does_not_take_is_503_not_the_callers_fault(settings, fetched):
    async def talk(app):
        response = await post(app, BODY)
        assert (response.status_code, used(app)) == (503, 0)
        streamed = await post(app, BODY | {"stream": True})
        assert (streamed.status_code, streamed.headers["content-type"]) == (503, "application/json")

    refusal = (400, error(400, "LoRA rank 64 is greater than max_lora_rank 16."))
    talk_to(settings, [VllmStandIn(refuses_load=refusal)], talk)


def test_a_server_that_dies_in_the_middle_is_metered_for_what_was_written(settings, fetched):
    async def talk(app):
        response = await post(app, BODY | {"stream": True})
        events = events_of(response)
        texts = [one["choices"][0]["delta"]["content"] for one in events if "choices" in one]
        assert "".join(texts[:2]) == "Hello"
        failure = next(one["error"] for one in events if "error" in one)
        assert failure["code"] == "bad_gateway"
        assert used(app) == PROMPT_TOKENS + 2
        whole = await post(app, BODY)
        assert (whole.status_code, whole.json()["error"]["code"]) == (502, "bad_gateway")
        assert used(app) == PROMPT_TOKENS + 2  # Half an answer that nobody got is free.

    talk_to(settings, [VllmStandIn(words=("Hel", "lo", "!"), dies_after=2)], talk)


def test_a_server_that_dies_before_its_first_word_is_502_and_free(settings, fetched):
    async def talk(app):
        response = await post(app, BODY | {"stream": True})
        assert (response.status_code, used(app)) == (502, 0)

    talk_to(settings, [VllmStandIn(dies_after=0)], talk)


def test_a_server_that_says_nothing_for_too_long_is_502(settings, fetched, monkeypatch):
    monkeypatch.setattr(vllm, "TOKEN_SECONDS", 0.2)

    async def talk(app):
        assert (await post(app, BODY)).status_code == 502

    talk_to(settings, [VllmStandIn(pause_seconds=0.6)], talk)


def test_one_of_two_servers_that_is_down_is_passed_over(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        for _ in range(3):
            assert text_of(await post(app, BODY)) == "Hello"
        assert app.services.vllm.away == 1

    talk_to(settings, [None, stand_in], talk)
    assert len(stand_in.asked) == 3


def test_two_servers_take_turns(settings, fetched):
    stand_ins = [VllmStandIn(), VllmStandIn()]

    async def talk(app):
        for _ in range(4):
            assert text_of(await post(app, BODY)) == "Hello"

    talk_to(settings, stand_ins, talk)
    assert [len(one.asked) for one in stand_ins] == [2, 2]


def test_a_model_of_a_server_that_went_away_is_503_and_never_loaded_here(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        assert text_of(await post(app, BODY)) == "Hello"
        (server,) = app.services.vllm._servers.values()
        stand_in.lists = False
        server.refresh(at_once=True)
        response = await post(app, BODY)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")

    talk_to(settings, [stand_in], talk)


def test_while_a_server_never_said_what_it_serves_any_model_may_be_meant_for_it(settings, fetched):
    async def talk(app):
        assert (await post(app, BODY)).status_code == 503

    talk_to(settings, [None], talk)
    talk_to(settings, [VllmStandIn(lists=False)], talk, is_adapter=False)


def test_a_prompt_that_is_too_long_is_refused_before_anything_is_sent(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        response = await post(app, BODY | {"max_tokens": 999})
        assert (response.status_code, stand_in.asked) == (400, [])

    talk_to(settings, [stand_in], talk)


def test_probabilities_are_those_of_token_ids(settings, fetched):
    told = {
        "tokens": ["token_id:3"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"token_id:3": -0.5, "token_id:4": float("-inf")}],
    }
    stand_in = VllmStandIn(words=("Hel",), logprobs=json.loads(json.dumps(told)))

    async def talk(app):
        response = await post(app, BODY | {"logprobs": True, "top_logprobs": 2})
        (one,) = response.json()["choices"][0]["logprobs"]["content"]
        assert (one["token"], one["logprob"], one["bytes"]) == ("Hel", -0.5, list(b"Hel"))
        assert [top["token"] for top in one["top_logprobs"]] == ["Hel", "lo"]
        assert one["top_logprobs"][1]["logprob"] == -9999.0

    talk_to(settings, [stand_in], talk)
    assert stand_in.asked[0]["logprobs"] == 2


def test_a_schema_is_passed_on(settings, fetched):
    stand_in = VllmStandIn()
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    async def talk(app):
        assert text_of(await post(app, BODY | {"response_format": asked})) == "Hello"

    talk_to(settings, [stand_in], talk)
    assert stand_in.asked[0]["response_format"]["json_schema"]["schema"] == schema


def test_whoever_leaves_ends_the_writing_and_pays_for_what_was_written(settings, fetched):
    stand_in = VllmStandIn(words=("a",) * 50, pause_seconds=0.05)

    async def talk(app):
        scope_messages = [{"type": "http.request", "body": json.dumps(
            BODY | {"stream": True}).encode(), "more_body": False}]  # fmt: skip
        got = []

        async def receive():
            if scope_messages:
                return scope_messages.pop()
            while len(got) < 4:
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            got.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
            "headers": [(b"authorization", b"Bearer lathe_secret")],
        }  # fmt: skip
        await app(scope, receive, send)
        assert PROMPT_TOKENS < used(app) < PROMPT_TOKENS + 20
        for _ in range(100):
            if stand_in.left:
                break
            await asyncio.sleep(0.05)
        assert stand_in.left == 1

    talk_to(settings, [stand_in], talk)


def test_what_is_loaded_and_away_is_told_to_prometheus(settings, fetched):
    async def talk(app):
        await post(app, BODY)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://m") as client:
            text = (await client.get("/metrics")).text
        assert "lathe_vllm_servers 1.0" in text
        assert "lathe_vllm_servers_away 0.0" in text
        assert "lathe_vllm_requests_total 1.0" in text

    talk_to(settings, [VllmStandIn(models=[BASE])], talk)


def test_what_is_told_of_a_model_does_not_load_its_weights_here(settings, fetched):
    async def talk(app):
        del app.services.model_cache._models[MODEL]
        headers = {"authorization": "Bearer lathe_secret"}
        told = (await request(app, "GET", "/v1/info?model=writer", headers=headers)).json()
        assert (told["task"], told["max_input_length"]) == ("text-generation", 20)
        assert app.services.model_cache.load_count == 0

    talk_to(settings, [VllmStandIn()], talk)


def test_the_base_beside_the_tuned_model_is_asked_by_its_own_name(settings, fetched):
    stand_in = VllmStandIn()

    async def talk(app):
        base = ServedDeployment(
            None, BASE_ENTRY.id, datetime.now(UTC), f"base/{BASE_ENTRY.id}", "", BASE_ENTRY.id,
            "text-generation",
        )  # fmt: skip
        key = f"{base.model_id}/prompts"
        upstream = UpstreamModel(base.model_id, "", BASE_ENTRY, FakePrompts(), None, False)
        models = app.services.model_cache
        models._models[key] = LoadedModel(key, upstream, 1)
        writer = await open_model(app.services, base)
        (prompt,) = writer.served.encode(["Hi"])
        chunks = await asyncio.to_thread(list, writer.served.stream_prompt(prompt, Sampling()))
        assert "".join(chunk.text for chunk in chunks) == "Hello"

    talk_to(settings, [stand_in], talk)
    assert [body["model"] for body in stand_in.asked] == [BASE]
    assert stand_in.calls.count("/v1/load_lora_adapter") == 0
