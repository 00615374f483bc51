"""Fine-tunes that clients of the OpenAI-compatible API start: created, launched, steered.

From its launch on, a fine-tune is the training job of the same id, with all that the pages show.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import ApiToken, Team
from accounts.notifications.publish import publish
from accounts.permissions import person_behind, require_permission
from inference import scheduled_deployments
from inference.errors import FineTuningRefused
from inference.files.storing import read_chunks
from inference.files.training_lines import iterate_objects
from inference.fine_tuning.names import fine_tuned_model_name
from inference.fine_tuning.requests import (
    GENERATION_TASK,
    Hyperparameters,
    JobBody,
    choose_columns,
    choose_task,
    engine_hyperparameters,
    find_start,
)
from inference.models import ApiFile, FineTuningJob, Purpose
from projects import storage
from projects.importing.uploads import receive_upload
from projects.models import DatasetVersion, ImportStatus
from training.errors import StaleJobState
from training.jobs import actions
from training.jobs.launch import Columns, LaunchRequest, launch
from training.models import Status, TrainingJob
from web.errors import UserError

SPLIT_COLUMN = "lathe_split"  # Of the two files of a job as one dataset.
MAX_ADOPTED = 500

logger = logging.getLogger(__name__)


def create(
    body: JobBody, token: ApiToken, training_file: ApiFile, validation_file: ApiFile | None
) -> FineTuningJob:
    """Start a fine-tune: at once when its file is imported, else as soon as it is.

    Raises FineTuningRefused naming the parameter or the line at fault, and what a launch raises.
    """
    require_permission(token, token.team, "write")
    body.require_supported()
    entry, _ = find_start(token.team, body.model)
    files = {"training_file": training_file, "validation_file": validation_file}
    for param, file in files.items():
        if file is None:
            continue
        if file.purpose != Purpose.FINE_TUNE or file.dataset_version is None:
            raise FineTuningRefused(
                f"{param} must be a file with the purpose 'fine-tune'.", param=param
            )
        if GENERATION_TASK in entry.tasks:
            choose_columns(file, param, is_dpo=body.is_dpo)
    engine_hyperparameters(entry, entry.tasks[0], body.stored_method, body.seed or 0)
    assert training_file.dataset_version is not None
    job = FineTuningJob(
        team=token.team,
        model=body.model,
        training_file=training_file,
        validation_file=validation_file,
        suffix=body.suffix or "",
        seed=body.seed or 0,
        method=body.stored_method,
        metadata=body.metadata,
        requested_by=person_behind(token),
    )
    job.dataset_version = _version_to_train_on(job, token)
    if job.dataset_version.status == ImportStatus.READY:
        with transaction.atomic():  # Refused at once rather than kept as failed.
            job.save(force_insert=True)
            _launch(job, token)
    else:
        job.save(force_insert=True)
    return job


def _version_to_train_on(job: FineTuningJob, token: ApiToken) -> DatasetVersion:
    """The training file's version; with a validation file a new one that holds both."""
    version = job.training_file.dataset_version
    assert version is not None
    if job.validation_file is None:
        return version
    same = FineTuningJob.objects.filter(
        training_file=job.training_file, validation_file=job.validation_file
    ).exclude(dataset_version__status=ImportStatus.FAILED)
    if (earlier := same.select_related("dataset_version").first()) is not None:
        return earlier.dataset_version
    with tempfile.NamedTemporaryFile(prefix="fine-tune-") as sink:
        # Half of the validation file chooses the epoch, the other half tests what was chosen.
        parts = ((job.training_file, ("train",)), (job.validation_file, ("validation", "test")))
        for file, names in parts:
            for line in _marked_lines(file, names):
                sink.write(line)
        sink.flush()
        with Path(sink.name).open("rb") as source:
            return receive_upload(
                project=version.dataset.project,
                filename=job.training_file.filename,
                chunks=read_chunks(source),
                by=token,
                name=f"{job.training_file.filename} with {job.validation_file.filename}",
            ).version


def _marked_lines(file: ApiFile, parts: tuple[str, ...]) -> Iterator[bytes]:
    """The file's lines, each with the part of the split that is its turn."""
    with storage.open_file(file.storage_key) as source:
        for (_, line), part in zip(iterate_objects(source), cycle(parts), strict=False):
            yield json.dumps(line | {SPLIT_COLUMN: part}).encode() + b"\n"


def launch_waiting() -> None:
    """Launch every fine-tune whose file has been imported, or end it with the reason why not."""
    ready = FineTuningJob.objects.waiting().exclude(dataset_version__status=ImportStatus.IMPORTING)
    for job_id in ready.values_list("pk", flat=True):
        try:
            launch_if_ready(job_id)
        except Exception:  # One that cannot go on must not hold up the others.
            logger.exception("Fine-tuning job %s stays waiting", job_id)


@transaction.atomic
def launch_if_ready(job_id: UUID) -> None:
    """Take the next step of one fine-tune. Repeating it is harmless."""
    waiting = FineTuningJob.objects.waiting().select_for_update(of=("self",), skip_locked=True)
    job = waiting.select_related("dataset_version", "requested_by").filter(pk=job_id).first()
    if job is None or job.dataset_version.status == ImportStatus.IMPORTING:
        return
    if job.dataset_version.status == ImportStatus.FAILED:
        _fail(job, "invalid_training_file", job.dataset_version.failure_sentence)
        return
    try:
        with transaction.atomic():
            _launch(job, None)
    except UserError as refusal:
        _fail(job, refusal.code, refusal.sentence)


def _launch(job: FineTuningJob, token: ApiToken | None) -> None:
    """Queue the training job, and schedule its model to answer under its name."""
    person = job.requested_by
    assert person is not None
    require_permission(token or person, job.team, "write")
    entry, initial_model = find_start(job.team, job.model)
    task = choose_task(entry, job.dataset_version)
    columns: Columns = {}
    if task == GENERATION_TASK:
        is_dpo = job.method["type"] == "dpo"
        columns = choose_columns(job.training_file, "training_file", is_dpo=is_dpo)
    job.job = launch(
        dataset_version=job.dataset_version,
        user=person,
        viewer=token or person,
        job_id=job.pk,
        request=LaunchRequest(
            task=task,
            name=job.suffix or None,
            columns=columns,
            base_model=entry.id,
            initial_model=initial_model,
            hyperparameters=engine_hyperparameters(entry, task, job.method, job.seed),
            split={"column": SPLIT_COLUMN} if job.validation_file_id else {},
        ),
    )
    job.save(update_fields=["job"])
    scheduled_deployments.deploy_when_succeeded(job.job, fine_tuned_model_name(job), person)


def _fail(job: FineTuningJob, code: str, sentence: str) -> None:
    job.failed_at, job.error_code, job.error_message = now(), code[:40], sentence
    job.save(update_fields=["failed_at", "error_code", "error_message"])
    _publish_end(job, Status.FAILED, sentence)


def _publish_end(job: FineTuningJob, status: Status, sentence: str) -> None:
    """Tell the team, as a training job does, of an end before there is a training job."""
    publish(
        job.team,
        f"training_job.{status}",
        f"{job}: {sentence}",
        url=reverse("projects:dataset", args=[job.dataset_version.dataset_id]),
        key=f"training_job:{job.pk}:{status}",
        data={"id": str(job.pk), "name": str(job), "status": str(status)},
        about=job.requested_by,
    )


@transaction.atomic
def cancel(job: FineTuningJob, token: ApiToken) -> None:
    """Raises StaleJobState when it is already over."""
    require_permission(token, job.team, "write")
    if job.job is not None:
        actions.cancel(job.job, token)
        return
    if not FineTuningJob.objects.waiting().filter(pk=job.pk).update(cancelled_at=now()):
        raise StaleJobState("This job is already over.")
    _publish_end(job, Status.CANCELLED, f"Cancelled by {person_behind(token).email}")


def pause(job: FineTuningJob, token: ApiToken) -> None:
    """Raises StaleJobState unless it is queued or runs."""
    require_permission(token, job.team, "write")
    actions.pause(_launched(job), token)


def resume(job: FineTuningJob, token: ApiToken) -> None:
    """Raises StaleJobState unless it is paused."""
    require_permission(token, job.team, "write")
    actions.resume(_launched(job), token)


def _launched(job: FineTuningJob) -> TrainingJob:
    if job.job is None:
        raise StaleJobState("The files of this job are still being validated. Try again shortly.")
    return job.job


def adopt_jobs(team: Team) -> None:
    """Make the fine-tunes that were launched on pages or by the other API known to this one."""
    known = FineTuningJob.objects.filter(team=team, job__isnull=False).values("job")
    others = (
        TrainingJob.objects.filter(team=team, source_model=None)
        .exclude(pk__in=known)
        .select_related("dataset_version")[:MAX_ADOPTED]
    )
    for job in others:
        file = _adopt_file(job)
        FineTuningJob.objects.get_or_create(
            pk=job.pk,
            defaults={
                "team": team,
                "job": job,
                "model": job.base_model,
                "training_file": file,
                "dataset_version": job.dataset_version,
                "method": _method_of(job),
                "requested_by": job.launched_by,
                "created_at": job.created_at,
            },
        )


def _adopt_file(job: TrainingJob) -> ApiFile:
    version = job.dataset_version
    file, _ = ApiFile.objects.get_or_create(
        pk=version.pk,
        defaults={
            "team_id": job.team_id,
            "created_by_id": version.created_by_id,
            "dataset_version": version,
            "purpose": Purpose.FINE_TUNE,
            "filename": version.filename,
            "bytes": version.upload_bytes,
            "storage_key": version.upload_key,
            "created_at": version.created_at,
        },
    )
    return file


def _method_of(job: TrainingJob) -> dict[str, object]:
    """What a job launched elsewhere would have been asked for in OpenAI's terms."""
    chosen = job.recipe.get("hyperparameters") or {}
    hyperparameters = Hyperparameters().model_dump()
    if (epochs := chosen.get("epochs")) and epochs <= 50:
        hyperparameters["n_epochs"] = epochs
    if not job.recipe.get("rejected_column"):
        return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    hyperparameters["beta"] = chosen.get("beta", "auto")
    return {"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}
