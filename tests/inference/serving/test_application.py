"""The models process's application over ASGI, with real artifacts, PostgreSQL and billing."""

import asyncio
import json
import time

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Sum

from accounts.models import Team
from billing.budgets import budget as budgets
from billing.models import Budget, LedgerEntry, UsageEvent
from engine.artifact import (
    Feature,
    Inputs,
    Manifest,
    Serving,
    Target,
    create_build_folder,
    publish,
)
from engine.tasks.tabular.ensemble_members import Linear
from engine.tasks.tabular.onnx_graph import OnnxGraphBuilder
from inference import deployments
from inference.gateway import internal_token
from inference.models import Deployment, RequestLog
from inference.serving import application
from projects import storage
from tests.conftest import issue
from web.sse import notify

ENCODERS = ["all-MiniLM-L6-v2", "multilingual-e5-small"]  # Those that come with the requirements.
pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


async def classify(client, expected=200, **body):
    answer = await client.post("/v1/classify", json=body)
    assert answer.status_code == expected, answer.text
    return answer


async def in_thread(call, *args, **named):
    """As another process would do it: with a database connection of its own, closed afterwards."""

    def carry_out():
        try:
            return call(*args, **named)
        finally:
            connection.close()

    return await asyncio.to_thread(carry_out)


def refused(answer, status, code, param=None):
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"].endswith(".")
    assert answer.headers["x-request-id"]


def test_a_text_is_answered_in_vllms_shape_with_named_scores(deployment, token, with_models):
    async def talk(client, app):
        answer = await classify(client, model="intents", input="my card")
        body = answer.json()
        assert body["id"].startswith("classify-")
        assert (body["object"], body["model"]) == ("list", "intents")
        assert abs(body["created"] - time.time()) < 60
        (item,) = body["data"]
        assert (item["index"], item["label"], item["num_classes"]) == (0, "card", 3)
        assert sum(item["probs"]) == pytest.approx(1, abs=1e-5)
        assert item["scores"][0] == {"label": "card", "score": max(item["probs"])}
        assert {score["label"] for score in item["scores"]} == {"card", "transfer", "other"}
        assert body["usage"] == {"prompt_tokens": 2, "total_tokens": 2, "completion_tokens": 0}
        assert answer.headers["x-request-id"] == body["id"]
        assert answer.headers["openai-processing-ms"].isdigit()

    with_models(talk, token)


BODIES = {
    "classify": {"input": "a"},
    "completions": {"prompt": "a"},
    "chat/completions": {"messages": [{"role": "user", "content": "a"}]},
    "responses": {"input": "a"},
}


def test_a_base_encoder_says_where_it_answers_and_is_not_deleted(token, with_models):
    """It is listed, so that "there is no such model" would be wrong."""

    async def talk(client, app):
        for route, body in BODIES.items():
            for name in (ENCODERS[0], f"{ENCODERS[0]}@int8"):
                answer = await client.post(f"/v1/{route}", json={"model": name, **body})
                refused(answer, 404, "model_not_found", "model")
                assert "ask it at /v1/embeddings" in answer.json()["error"]["message"]
        unlisted = await client.post(
            "/v1/classify", json={"model": "all-mpnet-base-v2", "input": "a"}
        )
        refused(unlisted, 404, "model_not_found", "model")  # It would have to be downloaded.
        assert "no deployment named" in unlisted.json()["error"]["message"]
        answer = await client.delete(f"/v1/models/{ENCODERS[0]}")
        refused(answer, 400, "invalid_parameter", "model")
        assert (await client.get(f"/v1/models/{ENCODERS[0]}")).status_code == 200

    with_models(talk, token)


def test_many_texts_keep_their_order(deployment, token, with_models):
    async def talk(client, app):
        texts = ["card", "money transfer"] * 300
        body = (await classify(client, model="intents", input=texts)).json()
        assert [item["label"] for item in body["data"]] == ["card", "transfer"] * 300
        assert [item["index"] for item in body["data"]] == list(range(600))

    with_models(talk, token)


def test_hugging_faces_body_is_answered_in_its_shape(deployment, token, with_models):
    async def talk(client, app):
        one = (await classify(client, model="intents", inputs="card")).json()
        assert [score["label"] for score in one][0] == "card"
        assert len(one) == 3
        many = await classify(
            client,
            model="intents",
            inputs=["card", "money"],
            parameters={"top_k": 1, "function_to_apply": "sigmoid"},
        )
        assert [[s["label"] for s in row] for row in many.json()] == [["card"], ["transfer"]]
        assert many.json()[0][0]["score"] == pytest.approx(0.982014, abs=1e-6)
        raw = await classify(
            client, model="intents", inputs="card", parameters={"function_to_apply": "none"}
        )
        assert raw.json()[0]["score"] == 4.0

    with_models(talk, token)


def test_the_list_of_models_and_one_model_have_openais_shape(deployment, token, with_models):
    async def talk(client, app):
        listed = (await client.get("/v1/models")).json()
        created = int(deployment.created_at.timestamp())
        one = {"id": "intents", "object": "model", "created": created, "owned_by": "lathe"}
        encoders = [
            {"id": name, "object": "model", "created": 0, "owned_by": "lathe"} for name in ENCODERS
        ]
        assert listed == {"object": "list", "data": [one, *encoders]}
        assert (await client.get("/v1/models/intents")).json() == one
        for name in ("ft:base:team:name:1", "org/model", "%2e%2e/x"):
            refused(await client.get(f"/v1/models/{name}"), 404, "model_not_found", "model")

    with_models(talk, token)


def test_info_names_the_labels(deployment, token, with_models):
    async def talk(client, app):
        body = (await client.get("/v1/info?model=intents")).json()
        assert body["id2label"] == {"0": "card", "1": "transfer", "2": "other"}
        refused(await client.get("/v1/info"), 400, "invalid_parameter", "model")

    with_models(talk, token)


BAD_BODIES = [
    (b"", "invalid_json", None),
    (b"{", "invalid_json", None),
    (b"\xff\xfe", "invalid_json", None),
    (b"[" * 100_000, "invalid_json", None),
    (b"9" * 5000, "invalid_json", None),
    (b"[]", "invalid_parameter", None),
    (b"{}", "invalid_parameter", "model"),
    (b'{"model": 3, "input": "x"}', "invalid_parameter", "model"),
    (b'{"model": "intents"}', "invalid_parameter", "input"),
    (b'{"model": "intents", "input": null}', "invalid_parameter", "input"),
    (b'{"model": "intents", "input": []}', "invalid_parameter", "input"),
    (b'{"model": "intents", "input": {"a": 1}}', "invalid_parameter", "input"),
    (b'{"model": "intents", "input": [5, null]}', "invalid_parameter", "input[0]"),
    (b'{"model": "intents", "input": "\\ud800"}', "invalid_parameter", "input"),
    (b'{"model": "intents", "messages": []}', "invalid_parameter", "messages"),
    (b'{"model": "intents", "inputs": 5}', "invalid_parameter", "inputs"),
    (b'{"model": "intents", "inputs": "a", "parameters": 1}', "invalid_parameter", "parameters"),
    (
        b'{"model": "intents", "inputs": "a", "parameters": {"top_k": 0}}',
        "invalid_parameter",
        "parameters.top_k",
    ),
    (
        b'{"model": "intents", "inputs": "a", "parameters": {"function_to_apply": "x"}}',
        "invalid_parameter",
        "parameters.function_to_apply",
    ),
    (
        json.dumps({"model": "intents", "input": ["a"] * 2049}).encode(),
        "invalid_parameter",
        "input",
    ),
    (
        json.dumps({"model": "intents", "input": "a" * 100_001}).encode(),
        "invalid_parameter",
        "input",
    ),
]


def test_every_bad_body_is_a_400_that_names_what_is_wrong(deployment, token, with_models):
    async def talk(client, app):
        for body, code, param in BAD_BODIES:
            refused(await client.post("/v1/classify", content=body), 400, code, param)

    with_models(talk, token)


def test_odd_but_legal_texts_are_answered(deployment, token, with_models):
    async def talk(client, app):
        for text in ("", " ", "\0", "🙂" * 500, "a" * 99_999, "עברית", "\n\n"):
            await classify(client, model="intents", input=text)

    with_models(talk, token)
    assert RequestLog.objects.count() == 7


def test_too_large_a_body_is_413_also_when_its_length_is_not_declared(
    deployment, token, with_models, settings
):
    settings.MODELS_MAX_BODY_BYTES = 1000

    async def parts():
        for _ in range(20):
            yield b" " * 100

    async def talk(client, app):
        declared = await client.post("/v1/classify", content=b" " * 1001)
        refused(declared, 413, "request_too_large")
        refused(await client.post("/v1/classify", content=parts()), 413, "request_too_large")

    with_models(talk, token)


def test_wrong_methods_and_addresses_are_told_so(deployment, token, with_models):
    async def talk(client, app):
        answer = await client.get("/v1/classify")
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"
        refused(await client.post("/v1/elsewhere"), 404, "unknown_url")

    with_models(talk, token)


def test_no_token_a_wrong_token_and_an_expired_token_are_401(deployment, token, with_models):
    async def talk(client, app):
        for header in ("", "Bearer", "Bearer lathe_nothing", "Basic abc", "Bearer \xe9"):
            headers = {"authorization": header.encode("latin-1")}
            answer = await client.get("/v1/models", headers=headers)
            refused(answer, 401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
        token.expires_at = token.created_at
        await in_thread(token.save)
        refused(await client.get("/v1/models"), 401, "invalid_api_key")

    with_models(talk, token)


def test_a_revoked_token_stops_at_its_notice(deployment, token, with_models):
    def revoke():
        token.revoked_at = token.created_at
        token.save()
        notify(f"token:{token.digest}")

    async def talk(client, app):
        await asyncio.sleep(0.2)  # Until the process listens.
        await classify(client, model="intents", input="card")
        await in_thread(revoke)
        await asyncio.sleep(0.2)
        refused(await client.get("/v1/models"), 401, "invalid_api_key")

    with_models(talk, token)


def test_a_token_without_the_scope_is_403(deployment, team, alice, with_models):
    async def talk(client, app):
        refused(await client.get("/v1/models"), 403, "missing_scope")

    with_models(talk, issue(team, alice, scopes=["read", "write"]))


def test_a_frozen_team_is_403(deployment, token, team, with_models):
    Team.objects.filter(pk=team.pk).update(frozen_at=team.created_at)

    async def talk(client, app):
        refused(await client.post("/v1/classify", json={}), 403, "team_frozen")

    with_models(talk, token)


def test_strangers_do_not_learn_that_a_deployment_exists(deployment, mallory_token, with_models):
    async def talk(client, app):
        models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ENCODERS
        answer = await client.post("/v1/classify", json={"model": "intents", "input": "card"})
        refused(answer, 404, "model_not_found", "model")
        refused(await client.get("/v1/info?model=intents"), 404, "model_not_found", "model")

    with_models(talk, mallory_token)


def test_a_team_at_its_cap_is_402_and_told_not_to_retry(deployment, token, team, with_models):
    budgets.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=0)

    async def talk(client, app):
        answer = await client.post("/v1/classify", json={"model": "intents", "input": "card"})
        refused(answer, 402, "insufficient_quota")
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json()["error"]["type"] == "insufficient_quota"

    with_models(talk, token)
    assert not UsageEvent.objects.exists()


def test_a_token_that_is_too_fast_is_429_with_a_time_to_wait(
    deployment, token, with_models, settings
):
    settings.INFERENCE_REQUESTS_PER_SECOND = 1

    async def talk(client, app):
        answers = [await client.get("/v1/models") for _ in range(4)]
        refused(answers[-1], 429, "rate_limit_exceeded")
        assert answers[-1].headers["retry-after"] == "1"
        assert answers[0].status_code == 200

    with_models(talk, token)


def test_usage_is_billed_once_with_its_token_and_its_requests(deployment, token, team, with_models):
    async def talk(client, app):
        for _ in range(10):
            await classify(client, model="intents", input=["my card", "money"])
        await app.services.usage_counter.flush()
        await app.services.usage_counter.flush()

    with_models(talk, token)
    used = UsageEvent.objects.aggregate(units=Sum("units"), requests=Sum("requests"))
    assert used == {"units": 30, "requests": 10}
    event = UsageEvent.objects.first()
    assert (event.source, event.token_prefix) == (deployment.source, token.prefix)
    assert (
        LedgerEntry.objects.filter(team=team).total_micro() == budgets.get_budget(team).spent_micro
    )
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_a_flush_whose_answer_was_lost_is_repeated_and_counts_once(
    deployment, token, with_models, monkeypatch
):
    from django.db import OperationalError

    from inference.serving import usage_counter

    really, calls = usage_counter.write_batch, []

    def commit_then_fail(batch):
        really(batch)
        calls.append(batch)
        if len(calls) == 1:
            raise OperationalError("the connection broke after the commit")

    monkeypatch.setattr(usage_counter, "write_batch", commit_then_fail)

    async def talk(client, app):
        await classify(client, model="intents", input="card")
        await app.services.usage_counter.flush()
        assert app.services.usage_counter.unflushed_tokens == 1
        await app.services.usage_counter.flush()
        assert app.services.usage_counter.unflushed_tokens == 0

    with_models(talk, token)
    assert len(calls) == 2
    assert UsageEvent.objects.get().units == 1


def test_refused_requests_are_logged_but_not_billed(deployment, token, team, with_models):
    budgets.get_budget(team)
    Budget.objects.filter(pk=team.pk).update(cap_micro=0)

    async def talk(client, app):
        await classify(client, 402, model="intents", input="card")

    with_models(talk, token)
    entry = RequestLog.objects.get()
    assert (entry.status, entry.inputs, entry.deployment) == (402, ["card"], deployment)
    assert not UsageEvent.objects.exists()


def test_the_request_log_is_a_sample_of_bounded_size(deployment, token, with_models):
    async def talk(client, app):
        asks = (classify(client, model="intents", input="card") for _ in range(200))
        await asyncio.gather(*asks)

    with_models(talk, token)
    assert 1 <= RequestLog.objects.count() <= 60
    assert UsageEvent.objects.aggregate(total=Sum("requests"))["total"] == 200


@pytest.mark.usefixtures("full_speed")
def test_a_name_that_moves_answers_with_the_new_model_and_drops_no_request(
    deployment, make_model, alice, token, with_models
):
    newer = make_model("Newer", card="other")
    statuses, labels = [], []

    async def keep_asking(client, until):
        while not until.is_set():
            answer = await client.post("/v1/classify", json={"model": "intents", "input": "card"})
            assert answer.status_code == 200, answer.text
            statuses.append(answer.status_code)
            labels.append(answer.json()["data"][0]["label"])
            await asyncio.sleep(0)

    async def talk(client, app):
        await asyncio.sleep(0.2)
        until = asyncio.Event()
        asking = [asyncio.create_task(keep_asking(client, until)) for _ in range(4)]
        await asyncio.sleep(0.2)
        await in_thread(deployments.move, deployment, newer, alice)
        await asyncio.sleep(0.5)
        until.set()
        await asyncio.gather(*asking)

    with_models(talk, token)
    assert set(statuses) == {200}
    assert (labels[0], labels[-1]) == ("card", "other")


def test_a_retired_name_is_404_at_once(deployment, alice, token, with_models):
    async def talk(client, app):
        await asyncio.sleep(0.2)
        await classify(client, model="intents", input="card")
        await in_thread(deployments.retire, deployment, alice)
        await asyncio.sleep(0.2)
        await classify(client, 404, model="intents", input="card")

    with_models(talk, token)


def test_a_name_deployed_a_moment_ago_is_found(model, alice, token, with_models):
    async def talk(client, app):
        await classify(client, 404, model="fresh", input="card")
        await in_thread(deployments.deploy, model, "fresh", alice)
        await asyncio.sleep(0.3)
        await classify(client, model="fresh", input="card")

    with_models(talk, token)


def test_the_least_recently_used_model_leaves_when_memory_is_short(
    make_model, alice, token, with_models, settings
):
    settings.MODELS_MEMORY_BYTES = 9 * 1024**2  # Two of these, at four MiB and a bit each.
    for number in range(3):
        deployments.deploy(make_model(f"Model {number}"), f"m{number}", alice)

    async def talk(client, app):
        for name in ("m0", "m1", "m0", "m2", "m0"):
            await classify(client, model=name, input="card")
        assert (len(app.services.model_cache), app.services.model_cache.load_count) == (2, 3)
        await classify(client, model="m1", input="card")
        assert app.services.model_cache.load_count == 4

    with_models(talk, token)


def test_a_broken_artifact_is_503_and_leaves_the_other_models_alone(
    deployment, make_model, alice, token, with_models
):
    broken = make_model("Broken")
    default_storage.delete(f"{broken.artifact_key}/model.onnx")
    deployments.deploy(broken, "broken", alice)

    async def talk(client, app):
        answer = await client.post("/v1/classify", json={"model": "broken", "input": "card"})
        refused(answer, 503, "service_unavailable")
        assert answer.headers["retry-after"]
        await classify(client, model="intents", input="card")

    with_models(talk, token)


def test_an_altered_local_copy_is_fetched_anew(deployment, model, token, with_models, settings):
    async def talk(client, app):
        await classify(client, model="intents", input="card")

    with_models(talk, token)
    local = settings.VAR_DIR / "models" / str(model.pk) / "model.onnx"
    local.write_bytes(b"altered")
    with_models(talk, token)
    assert local.read_bytes() != b"altered"


def test_the_playground_pass_speaks_for_its_team_only_and_not_for_long(
    deployment, alice, team, other_team, with_models, monkeypatch
):
    async def talk(client, app):
        def ask(text):
            headers = {internal_token.HEADER: text}
            body = {"model": "intents", "input": "card"}
            return client.post("/v1/classify", json=body, headers=headers)

        good = internal_token.issue_token(team.pk, alice.pk)
        assert (await ask(good)).status_code == 200
        refused(
            await ask(internal_token.issue_token(other_team.pk, 1)), 404, "model_not_found", "model"
        )
        refused(await ask(good[:-1] + "x"), 401, "invalid_api_key")
        monkeypatch.setattr(internal_token, "MAX_AGE_SECONDS", -1)
        refused(await ask(good), 401, "invalid_api_key")

    with_models(talk)
    assert UsageEvent.objects.get().token_prefix == "playground"


def test_metrics_are_for_this_machine_or_for_whoever_has_the_token(with_models, settings):
    async def talk(client, app):
        forwarded = {"x-forwarded-for": "198.51.100.9"}
        refused(await client.get("/metrics", headers=forwarded), 401, "invalid_api_key")
        settings.METRICS_TOKEN = "a long secret"
        refused(await client.get("/metrics"), 401, "invalid_api_key")
        login = {"authorization": "Bearer a long secret"}
        assert (await client.get("/metrics", headers=login | forwarded)).status_code == 200

    with_models(talk)


def test_metrics_and_health_need_no_token_here_and_name_no_team(
    deployment, token, team, with_models, monkeypatch
):
    async def talk(client, app):
        await classify(client, model="intents", input="card")
        client.headers.pop("authorization")
        assert (await client.get("/healthz")).json() == {"status": "ok", "models_loaded": 1}
        assert (await client.get("/readyz")).json()["status"] == "ready"
        monkeypatch.setattr(application, "check_readiness", lambda: {"database": "away"})
        unready = await client.get("/readyz")
        assert (unready.status_code, unready.json()["status"]) == (503, "not ready")
        text = (await client.get("/metrics")).text
        assert 'lathe_requests_total{route="/v1/classify",status="200"} 1' in text
        assert 'lathe_request_seconds_bucket{le="+Inf"}' in text
        assert "intents" not in text
        assert str(team.pk) not in text

    with_models(talk, token)


def test_the_deployment_of_another_team_with_the_same_name_is_not_touched(
    deployment, mallory, other_team, mallory_token, token, with_models
):
    assert Deployment.objects.get().team != other_team

    async def talk(client, app):
        headers = {"authorization": f"Bearer {mallory_token.secret}"}
        body = {"model": "intents", "input": "card"}
        assert (await client.post("/v1/classify", json=body)).status_code == 200
        stranger = await client.post("/v1/classify", json=body, headers=headers)
        assert stranger.status_code == 404

    with_models(talk, token)


@pytest.fixture
def table_model(make_model, tmp_path):
    """A linear model of two features, deployed as `prices`: 3 size + 100 when it is in Rome."""
    model = make_model("Prices")
    features = [
        Feature(name="size", kind="number", middle=0.0, scale=1.0),
        Feature(name="city", kind="category", categories=["oslo", "rome"]),
    ]
    folder = tmp_path / "table"
    building = create_build_folder(folder)
    parts = OnnxGraphBuilder()
    parts.add_linear(Linear(np.asarray([[3.0, 0, 100, 0]], "f4"), np.zeros(1, "f4")))
    parts.save(building / "model.onnx", 4, 1)
    manifest = Manifest(
        task="tabular-regression",
        base_model="tabular-network",
        inputs=Inputs(kind="features", columns=["size", "city"], features=features),
        target=Target(kind="number", column="price"),
        serving=Serving(file="model.onnx", inputs=["features"]),
    )
    publish(building, folder, manifest)
    model.task, model.artifact_key = manifest.task, f"artifacts/table-{model.pk}"
    storage.put_folder(model.artifact_key, folder)
    model.save()
    return model


def test_a_table_is_asked_by_its_features_and_metered_by_its_values(
    with_models, table_model, alice, token
):
    deployments.deploy(table_model, "prices", alice)

    async def talk(client, app):
        rows = [{"size": 2, "city": "rome"}, {"city": "paris"}]
        answer = await client.post("/v1/classify", json={"model": "prices", "input": rows})
        assert answer.status_code == 200, answer.text
        assert [item["value"] for item in answer.json()["data"]] == [106.0, 0.0]
        assert answer.json()["usage"]["prompt_tokens"] == 4
        for wrong, sentence in (
            ({"size": "big"}, "'size' must be a number, not 'big'"),
            ({"colour": 1}, "no feature 'colour'"),
            (
                [{"size": "big"}, {"size": None, "city": ["x"]}],
                "'size' must be a number, not 'big'",
            ),
            ("a text", "send objects such as"),
            ({"size": [1]}, "must be a single value"),
        ):
            refused = await client.post("/v1/classify", json={"model": "prices", "input": wrong})
            assert refused.status_code == 400, wrong
            assert sentence in refused.json()["error"]["message"]

    with_models(talk, token)


def test_a_table_reads_rows_as_the_upload_did_and_a_bad_one_fails_alone(
    with_models, table_model, alice, token
):
    deployments.deploy(table_model, "prices", alice)

    async def talk(client, app):
        rows = [
            {"size": "€ 2", "city": " rome ", "note": "new"},
            {"size": "big"},
            {"size": "  "},
            7,
        ]
        body = (await client.post("/v1/classify", json={"model": "prices", "input": rows})).json()
        first, bad, blank, odd = body["data"]
        assert (first["value"], blank["value"]) == (106.0, 0.0)
        assert "'size' must be a number" in bad["error"]["message"]
        assert bad["error"]["param"] == "input[1]"
        assert odd["error"]["param"] == "input[3]"
        assert body["notes"] == [
            "The model does not read these fields, so they were ignored: note."
        ]
        assert body["usage"]["prompt_tokens"] == 4
        answers = (
            await client.post("/v1/classify", json={"model": "prices", "inputs": rows})
        ).json()
        assert [list(answer[0]) for answer in answers] == [
            ["label", "score"], ["error"], ["label", "score"], ["error"],
        ]  # fmt: skip

    with_models(talk, token)
