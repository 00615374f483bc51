"""A deployed tiny model, and the models process's application without its HTTP server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from accounts.models import ApiToken, Team, User
from inference import deployments
from inference.models import Deployment
from inference.serving.application import ModelsApp
from projects import storage
from projects.models import DatasetVersion
from tests.inference.tiny_model import write_artifact
from training.models import TrainedModel

LABELS = ["card", "transfer", "other"]
WORDS = {"card": "card", "plastic": "card", "transfer": "transfer", "money": "transfer"}


@pytest.fixture
def make_model(dataset_version: DatasetVersion, tmp_path: Path) -> Callable[..., TrainedModel]:
    """Trains nothing: stores a tiny artifact as a model of the team."""

    def make(name: str = "Intents", labels: list[str] = LABELS, **words: str) -> TrainedModel:
        project = dataset_version.dataset.project
        model = TrainedModel(
            team=project.team,
            project=project,
            dataset_version=dataset_version,
            name=name,
            task="text-classification",
            base_model="tiny",
            labels=labels,
        )
        model.artifact_key = f"artifacts/{model.pk}"
        folder = write_artifact(tmp_path / str(model.pk), labels, words or WORDS)
        storage.put_folder(model.artifact_key, folder)
        model.save()
        return model

    return make


@pytest.fixture
def model(make_model: Callable[..., TrainedModel]) -> TrainedModel:
    return make_model()


@pytest.fixture
def deployment(model: TrainedModel, alice: User) -> Deployment:
    return deployments.deploy(model, "intents", alice)


@pytest.fixture
def full_speed(settings):
    """For who asks as fast as the machine can, which may be faster than a token's limit."""
    settings.INFERENCE_REQUESTS_PER_SECOND = 1_000_000


Talk = Callable[[httpx.AsyncClient, ModelsApp], Awaitable[None]]


@pytest.fixture
def with_models(team: Team) -> Callable[[Talk, ApiToken | None], ModelsApp]:
    """Runs a conversation with a fresh models process's application, then closes it properly."""

    def run(talk: Talk, token: ApiToken | None = None) -> ModelsApp:
        return asyncio.run(_conversation(talk, token))

    return run


async def _conversation(talk: Talk, token: ApiToken | None) -> ModelsApp:
    app = ModelsApp()
    await app.open()
    headers = {"authorization": f"Bearer {token.secret}"} if token else {}
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://models", headers=headers
        ) as client:
            await talk(client, app)
    finally:
        await app.drain()
        await app.close()
    return app
