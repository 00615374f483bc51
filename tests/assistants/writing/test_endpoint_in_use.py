"""An endpoint by which an assistant writes says so on its page, and is not taken down."""

import pytest
from django.urls import reverse

from inference import deployments
from projects import storage
from tests.inference.tiny_model import write_artifact
from training.models import TrainedModel

pytestmark = pytest.mark.django_db
SENTENCE = "The assistant “{}” writes with it: publish a version that does not."


@pytest.fixture
def endpoint(dataset_version, alice, tmp_path):
    project = dataset_version.dataset.project
    model = TrainedModel(
        team=project.team, project=project, dataset_version=dataset_version, name="Writer",
        task="text-generation", base_model="tiny", labels=["a", "b"],
    )  # fmt: skip
    model.artifact_key = f"artifacts/{model.pk}"
    storage.put_folder(model.artifact_key, write_artifact(tmp_path / "m", ["a", "b"], {"x": "a"}))
    model.save()
    return deployments.deploy(model, "writer", alice)


def take_down(client, endpoint):
    data = {"typed_name": endpoint.name}
    return client.post(reverse("inference:retire", args=[endpoint.pk]), data)


def test_its_page_says_who_writes_and_offers_no_button(live, endpoint, alice, client):
    live.writer = {"model": endpoint.name}
    live.save(update_fields=["writer"])
    client.force_login(alice)
    page = client.get(reverse("inference:deployment", args=[endpoint.pk])).content.decode()
    assert SENTENCE.format(live.assistant.name) in page
    retire = reverse("inference:retire", args=[endpoint.pk])
    assert retire not in page
    assert take_down(client, endpoint).status_code == 409
    endpoint.refresh_from_db()
    assert endpoint.retired_at is None


@pytest.mark.parametrize(
    "writer", [None, {"model": "other"}, {"model": "writer", "url": "https://one.example/v1"}]
)
def test_of_other_writers_it_says_nothing(writer, live, endpoint, alice, client):
    live.writer = writer
    live.save(update_fields=["writer"])
    client.force_login(alice)
    page = client.get(reverse("inference:deployment", args=[endpoint.pk])).content.decode()
    assert "writes with it" not in page
    take_down(client, endpoint)
    endpoint.refresh_from_db()
    assert endpoint.retired_at is not None
