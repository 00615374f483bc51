"""Training goes on from a finished language model, from its page to the job."""

import pytest
from django.urls import reverse
from django.utils.timezone import now

from projects.models import Dataset, DatasetVersion, Project
from training.models import TrainedModel, TrainingJob

TASK, BASE = "text-generation", "small-language-model"
WORDS = "Train on from this model"


@pytest.fixture
def language_model(dataset_version: DatasetVersion, team) -> TrainedModel:
    return TrainedModel.objects.create(
        team=team, project=dataset_version.dataset.project, dataset_version=dataset_version,
        name="Helper", task=TASK, base_model=BASE, artifact_key="artifacts/helper",
    )  # fmt: skip


def launch_form(model: TrainedModel, **changes: str) -> dict[str, str]:
    form = {
        "version": "1", "task": TASK, "prompt_columns": "text", "completion_column": "label",
        "base_model": f"model:{model.pk}", "compute": "cpu", "hyperparameters-epochs": "1",
    }  # fmt: skip
    return form | changes


def launch_url(version: DatasetVersion) -> str:
    return reverse("training:launch", args=[version.dataset_id])


def test_from_the_models_page_to_a_job(language_model, dataset_version, alice, client_of):
    client = client_of(alice)
    chooser = reverse("training:train-on", args=[language_model.pk])
    assert f'href="{chooser}"' in client.get(language_model.get_absolute_url()).content.decode()
    launch = f"{launch_url(dataset_version)}?model={language_model.pk}"
    assert f'href="{launch}"' in client.get(chooser).content.decode()
    form = client.get(launch).context["form"]
    assert form.data["base_model"] == f"model:{language_model.pk}"
    assert form.data["task"] == TASK
    answer = client.post(launch_url(dataset_version), launch_form(language_model))
    job = TrainingJob.objects.get()
    assert answer["Location"] == reverse("training:job", args=[job.pk])
    assert (job.initial_model, job.base_model) == (language_model, BASE)
    again = client.get(launch_url(dataset_version), {"again": job.pk}).context["form"]
    assert again.data["base_model"] == f"model:{language_model.pk}"


def test_the_endpoints_page_has_the_same_button(language_model, team, alice, vera, client_of):
    from inference.deployments import deploy

    deployment = deploy(language_model, "helper", alice)
    url = reverse("inference:deployment", args=[deployment.pk])
    assert WORDS in client_of(alice).get(url).content.decode()
    assert WORDS not in client_of(vera).get(url).content.decode()


@pytest.mark.parametrize(
    "change", [{"task": "text-classification"}, {"archived_at": now()}, {"task": "text-regression"}]
)
def test_other_models_are_no_start(language_model, dataset_version, alice, client_of, change):
    TrainedModel.objects.filter(pk=language_model.pk).update(**change)
    client = client_of(alice)
    assert WORDS not in client.get(language_model.get_absolute_url()).content.decode()
    chooser = client.get(reverse("training:train-on", args=[language_model.pk])).content.decode()
    assert "?model=" not in chooser
    page = client.post(launch_url(dataset_version), launch_form(language_model))
    assert page.status_code == 400
    assert not TrainingJob.objects.exists()


def test_nobody_trains_on_from_a_strangers_model(
    language_model, dataset_version, mallory, other_team, client_of
):
    client = client_of(mallory)
    assert client.get(reverse("training:train-on", args=[language_model.pk])).status_code == 404
    project = Project.objects.create(team=other_team, name="Hers")
    dataset = Dataset.objects.create(project=project, name="hers")
    DatasetVersion.objects.filter(pk=dataset_version.pk).update(dataset=dataset)
    page = client.post(f"/datasets/{dataset.pk}/launch/", launch_form(language_model))
    assert page.status_code == 400
    assert str(language_model.pk) not in client.get(
        f"/datasets/{dataset.pk}/launch/", {"model": language_model.pk}
    ).content.decode()  # fmt: skip


@pytest.mark.parametrize("key", ["model:", "model:x", "model:00000000-0000-0000-0000-000000000000"])
def test_a_start_that_does_not_exist_is_refused(
    language_model, dataset_version, alice, client_of, key
):
    sent = launch_form(language_model, base_model=key)
    assert client_of(alice).post(launch_url(dataset_version), sent).status_code == 400


def test_a_classifier_is_not_offered_language_models_to_start_from(
    language_model, dataset_version, alice, client_of
):
    page = client_of(alice).get(launch_url(dataset_version), {"task": "text-classification"})
    assert "model:" not in str(page.context["form"].fields["base_model"].choices)
