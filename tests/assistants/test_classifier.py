"""A version's classifier is trained by an ordinary job on the assistant's own rows."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from assistants.answering.deciding import decide
from assistants.knowledge.phrasings import taught_phrasings
from assistants.rules.matching import Situation
from assistants.tasks import build_versions
from assistants.versions import building
from assistants.versions.rows import COLUMNS
from engine.answering.probe import fit_probe
from engine.answering.sentence_encoder import SentenceEncoder
from engine.artifact import Inputs, Manifest, Serving, Target, create_build_folder, publish
from projects import storage
from projects.importing.imports import import_version
from training.models import Status, TrainedModel, TrainingJob

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(taught, alice):
    """A version whose rows are imported and whose job is queued."""
    version = building.create_version(taught, alice, train_classifier=True)
    build_versions()
    version.refresh_from_db()
    import_version(version.dataset_version_id)
    build_versions()
    version.refresh_from_db()
    return version


def finish(job: TrainingJob, tmp_path, *, shuffled: bool = False) -> TrainedModel:
    """End the job with the model that its recipe makes of its rows."""
    rows = list(taught_phrasings(job_assistant(job)))
    labels = sorted({row.answer.key for row in rows})
    numbers = np.array([labels.index(row.answer.key) for row in rows])
    if shuffled:
        numbers = np.random.default_rng(0).permutation(numbers)
    embeddings = SentenceEncoder().embed([row.text for row in rows])
    layer = fit_probe(embeddings.astype(np.float64), numbers, len(labels)).astype(np.float32)
    folder = tmp_path / "artifact"
    building_folder = create_build_folder(folder)
    tensors = {"head.weight": np.ascontiguousarray(layer[:, :-1]), "head.bias": layer[:, -1].copy()}
    save_file(tensors, building_folder / "model.safetensors")
    (building_folder / "config.json").write_text(json.dumps({"normalise": True}))
    manifest = Manifest(
        task=job.task, base_model=job.base_model, labels=labels,
        inputs=Inputs(kind="text", columns=["question"], max_length=64),
        target=Target(kind="label", column="answer"), serving=Serving(file="model.onnx"),
    )  # fmt: skip
    publish(building_folder, folder, manifest)
    model = TrainedModel(
        team=job.team, project=job.project, dataset_version=job.dataset_version, name="c",
        task=job.task, base_model=job.base_model, labels=labels,
    )  # fmt: skip
    model.artifact_key = f"artifacts/{model.pk}"
    storage.put_folder(model.artifact_key, folder)
    model.save()
    TrainingJob.objects.filter(pk=job.pk).update(
        status=Status.SUCCEEDED, model=model, finished_at=job.created_at
    )
    return model


def job_assistant(job):
    from assistants.models import Version

    return Version.objects.get(job=job).assistant


@pytest.mark.slow
def test_the_job_is_a_probe_on_the_rows_and_its_layer_answers(waiting, taught, alice, tmp_path):
    job, rows = waiting.job, waiting.dataset_version
    assert (job.status, job.base_model, job.launched_by) == (Status.QUEUED, waiting.encoder, alice)
    assert job.recipe["hyperparameters"]["method"] == "probe"
    assert rows.rows == taught_phrasings(taught).count()
    assert [column["name"] for column in rows.columns] == list(COLUMNS)
    build_versions()
    waiting.refresh_from_db()
    assert waiting.status == "building"  # It waits for its job.
    model = finish(job, tmp_path)
    build_versions()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.classifier) == ("measured", model), waiting.failure_sentence
    outcome = decide(waiting, Situation(text="how do i return an order", language="en"))
    assert outcome.answer_key == "return-an-order"


@pytest.mark.nightly
def test_a_classifier_of_other_rows_is_refused(waiting, tmp_path):
    finish(waiting.job, tmp_path, shuffled=True)
    build_versions()
    waiting.refresh_from_db()
    assert waiting.status == "failed"


@pytest.mark.slow
def test_without_a_job_measuring_fits_the_layer_and_says_why(waiting):
    TrainingJob.objects.filter(pk=waiting.job.pk).update(
        status=Status.CANCELLED, finished_at=waiting.job.created_at
    )
    build_versions()
    waiting.refresh_from_db()
    assert (waiting.status, waiting.classifier) == ("measured", None)
    assert waiting.classifier_note == "Its training job was cancelled."
