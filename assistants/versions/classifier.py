"""The classifier of a version, trained by an ordinary job: dataset version, job, trained model.

Each step is taken by whoever comes by; taking it twice changes nothing, as equal bytes are one
dataset version and a version's job has one id.
"""

import logging
from uuid import UUID, uuid5

from django.db import IntegrityError, transaction

from assistants.models import Version, VersionStatus
from assistants.versions.rows import export_rows
from projects.models import DatasetVersion, ImportStatus
from training.jobs.launch import LaunchRequest, launch
from training.models import Status, TrainedModel, TrainingJob
from web.errors import UserError
from web.sse import notify

logger = logging.getLogger(__name__)

JOBS = UUID("6a1c6f0e-0f0b-4f5e-9a52-3f1d6f6a5d11")  # Names the job of a version, by uuid5.
# The layer that answers beside the nearest question: linear, on the version's own encoder.
HYPERPARAMETERS = {"method": "probe", "labels_per_row": "one", "contenders": False}


def advance_classifiers() -> None:
    """Take the next step of every version whose classifier is being trained."""
    waiting = Version.objects.filter(status=VersionStatus.BUILDING, awaits_classifier=True)
    for version in waiting.select_related("assistant__project__team", "dataset_version", "job"):
        try:
            _advance(version)
        except UserError as refusal:
            _go_on(version, note=refusal.sentence)
        except Exception:  # One that cannot go on must not hold up the others.
            logger.exception("Version %s waits for its classifier", version.pk)


def _advance(version: Version) -> None:
    """Raises UserError where no classifier can be trained; measuring then fits one by itself."""
    data = version.dataset_version
    if data is None:
        export_rows(version)
    elif data.status == ImportStatus.FAILED:
        _go_on(version, note=data.failure_sentence)
    elif data.status == ImportStatus.READY and version.job is None:
        _update(version, job=_launch(version, data))
    elif version.job is not None and version.job.status == Status.SUCCEEDED:
        _go_on(version, classifier=version.job.model)
    elif version.job is not None and version.job.status in (Status.FAILED, Status.CANCELLED):
        _go_on(version, note=f"Its training job was {version.job.status}.")


def _launch(version: Version, data: DatasetVersion) -> TrainingJob:
    person = version.created_by
    assert person is not None
    job_id = uuid5(JOBS, str(version.pk))
    request = LaunchRequest(
        task="text-classification",
        name=f"{version.assistant.name} v{version.number}"[:120],
        columns={"text_columns": ["question"], "target_column": "answer"},
        base_model=version.encoder,
        hyperparameters=dict(HYPERPARAMETERS),
    )
    try:
        with transaction.atomic():
            return launch(
                dataset_version=data, user=person, request=request, viewer=person, job_id=job_id
            )
    except IntegrityError:  # Another worker came by.
        return TrainingJob.objects.get(pk=job_id)


def _go_on(version: Version, *, classifier: TrainedModel | None = None, note: str = "") -> None:
    """Let the version be measured, with or without a trained classifier."""
    _update(version, classifier=classifier, classifier_note=note, awaits_classifier=False)
    notify(f"assistant:{version.assistant_id}")


def _update(version: Version, **fields: object) -> None:
    Version.objects.filter(pk=version.pk, awaits_classifier=True).update(**fields)
