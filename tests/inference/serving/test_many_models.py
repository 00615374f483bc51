"""More models than fit into memory: all answer, none fails."""

import asyncio

import pytest

from inference import deployments
from inference.serving.model_cache import OVERHEAD_BYTES

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
MODELS, ROOM = 50, 10


def test_fifty_deployments_answer_within_the_memory_of_ten(make_model, alice, token, with_models):
    first = make_model("Intents")
    for number in range(MODELS):
        # An artifact of its own in memory; the same files in storage, which is quicker to make.
        model = type(first)(
            team=first.team, project=first.project, dataset_version=first.dataset_version,
            name=f"m{number}", task=first.task, base_model="tiny", labels=first.labels,
            artifact_key=first.artifact_key,
        )  # fmt: skip
        model.save()
        deployments.deploy(model, f"intents-{number}", alice)

    async def talk(client, app):
        cache = app.services.model_cache
        cache._memory_bytes = ROOM * (OVERHEAD_BYTES + 4096)
        largest = 0

        async def ask(number):
            nonlocal largest
            body = {"model": f"intents-{number % MODELS}", "input": "my card"}
            answer = await client.post("/v1/classify", json=body)
            largest = max(largest, len(cache))
            return answer.status_code, answer.json()["data"][0]["label"]

        for _ in range(2):
            answers = await asyncio.gather(*map(ask, range(MODELS)))
            assert set(answers) == {(200, "card")}
        assert largest <= ROOM
        assert cache.load_count >= 2 * MODELS - ROOM  # Models came back that had to leave.
        metrics = app.services.metrics.render().decode()
        assert f"lathe_model_loads_total {float(cache.load_count)}" in metrics

    with_models(talk, token)
