"""/v1/embeddings over ASGI, with a real artifact, PostgreSQL and billing."""

import base64

import numpy as np
import pytest
from django.db.models import Sum

from billing.models import UsageEvent
from inference import deployments
from projects import storage
from tests.inference.openai import shapes
from tests.inference.tiny_encoder import LABELS, write_encoder
from training.models import TrainedModel

CL100K = [86, 16, 289, 17]  # "w1 w2" in the encoding of OpenAI's embedding models.

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def encoder(dataset_version, alice, tmp_path):
    project = dataset_version.dataset.project
    model = TrainedModel(
        team=project.team, project=project, dataset_version=dataset_version, name="Encoder",
        task="text-classification", base_model="tiny", labels=LABELS,
    )  # fmt: skip
    model.artifact_key = f"artifacts/{model.pk}"
    storage.put_folder(model.artifact_key, write_encoder(tmp_path / "encoder", int8=True))
    model.save()
    return deployments.deploy(model, "encoder", alice)


async def embed(client, expected=200, **body):
    answer = await client.post("/v1/embeddings", json={"model": "encoder"} | body)
    assert answer.status_code == expected, answer.text
    return answer.json()


@pytest.mark.usefixtures("encoder")
def test_texts_and_token_ids_as_floats_or_base64(token, with_models):
    async def talk(client, app):
        content = await embed(client, input=["w1 w2", "w3"])
        shapes.require_shape(content, shapes.EMBEDDINGS)
        assert content["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        floats = [row["embedding"] for row in content["data"]]
        assert [len(row) for row in floats] == [32, 32]
        packed = await embed(client, input=["w1 w2", "w3"], encoding_format="base64")
        for row, expected in zip(packed["data"], floats, strict=True):
            np.testing.assert_allclose(
                np.frombuffer(base64.b64decode(row["embedding"]), "<f4"), expected, atol=1e-6
            )
        for same in (CL100K, [CL100K], "w1 w2", ["w1 w2"]):
            (one,) = (await embed(client, input=same))["data"]
            np.testing.assert_allclose(one["embedding"], floats[0], atol=1e-6)
        short = (await embed(client, input="w1 w2", dimensions=8))["data"][0]["embedding"]
        expected = np.array(floats[0][:8]) / np.linalg.norm(floats[0][:8])
        np.testing.assert_allclose(short, expected, atol=1e-5)

    with_models(talk, token)
    assert UsageEvent.objects.aggregate(sum=Sum("units"))["sum"] == 3 + 3 + 4 * 2 + 2


@pytest.mark.usefixtures("encoder")
def test_a_text_that_was_asked_before_is_not_computed_again_and_costs_the_same(token, with_models):
    async def talk(client, app):
        def counted():
            return app.services.batcher.rows, app.services.usage_counter.unflushed_tokens

        first = await embed(client, input=["w1 w2", "w3", "w1 w2"])
        (rows, tokens), longest = counted(), "w1 " * 65
        assert (rows, tokens) == (2, 5)  # The same text twice in one request is one row.
        assert await embed(client, input=["w1 w2", "w3", "w1 w2"]) == first
        assert counted() == (rows, 2 * tokens)
        cut = await embed(client, input=longest, truncate=True)
        assert cut["usage"]["prompt_tokens"] <= 64
        await embed(client, 400, input=longest)  # Whole, it is still refused.
        computed = app.services.batcher.rows
        collection = [f"w{number % 7}" for number in range(17)]
        await embed(client, input=collection)
        await embed(client, input=collection)
        assert app.services.batcher.rows == computed + 2 * 17  # A collection is not kept.

    with_models(talk, token)


@pytest.mark.usefixtures("encoder", "deployment")
@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "input"),
        ({"input": ""}, 400, "input"),
        ({"input": " \n"}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": ["w1", ""]}, 400, "input[1]"),
        ({"input": ["w1", 2]}, 400, "input"),
        ({"input": ["w1", None]}, 400, "input"),
        ({"input": [[]]}, 400, "input[0]"),
        ({"input": [[1, "w"]]}, 400, "input[0]"),
        ({"input": [True]}, 400, "input[0]"),
        ({"input": {"a": 1}}, 400, "input"),
        ({"input": ["w1"] * 2049}, 400, "input"),
        ({"input": [-1]}, 400, "input"),
        ({"input": [100_300]}, 400, "input"),
        ({"input": [[86], [10**9]]}, 400, "input[1]"),
        ({"input": [[220]]}, 400, "input[0]"),  # A blank.
        ({"input": [[160, 121]]}, 400, "input[0]"),  # Bytes that are no text.
        ({"input": "w1 " * 65}, 400, "input"),
        ({"input": "w1", "dimensions": 33}, 400, "dimensions"),
        ({"input": "w1", "dimensions": 0}, 400, "dimensions"),
        ({"input": "w1", "encoding_format": "int8"}, 400, "encoding_format"),
        ({"input": "w1", "model": "nobody"}, 404, "model"),
        ({"input": "w1", "model": "intents"}, 400, "model"),
        ({"input": "w1", "model": "bge-large-en-v1.5"}, 404, "model"),
        ({"input": "w1", "model": "bge-small-en-v1.5"}, 400, "model"),  # To be downloaded.
        ({"input": "w1", "model": "small-text-transformer"}, 404, "model"),  # Knows nothing yet.
        ({"input": "w1", "model": "bge-small-en-v1.5@int8"}, 400, "model"),
        ({"input": "w1", "model": "all-MiniLM-L6-v2@int4"}, 404, "model"),
        ({"input": "w1", "model": "assistant:shop-help"}, 400, "model"),
    ],
)
def test_every_wrong_request_names_its_parameter(body, status, param, token, with_models):
    async def talk(client, app):
        content = await embed(client, status, **body)
        shapes.require_shape(content, shapes.ERROR_RESPONSE)
        assert content["error"]["param"] == param

    with_models(talk, token)
    assert not UsageEvent.objects.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "all-MiniLM-L6-v2@int8"])
def test_the_base_encoder_answers_without_a_deployment(name, token, with_models):
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "Interest rates went up."]

    async def talk(client, app):
        content = await embed(client, model=name, input=texts)
        rows = np.array([row["embedding"] for row in content["data"]])
        assert rows.shape == (3, 384)
        assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3

    with_models(talk, token)
    assert UsageEvent.objects.get().source == "base-model:all-MiniLM-L6-v2"
