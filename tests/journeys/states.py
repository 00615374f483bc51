"""Puts a team of the running product into every state that a page can show, without training.

`make_states("acme")` returns the addresses of what it made. `new_job` and `move_job`, `new_import`
and `end_import`, `new_endpoint` and `answer`, and `tell` change what open pages show, a step at a
time, while a browser looks on. `tell_of_job` changes nothing. `Product.change` carries them out in
the running product.
"""

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Notice, Team
from accounts.notifications.publish import publish
from accounts.teams import membership
from accounts.webhooks import endpoints
from inference.models import Deployment, RequestLog
from projects.importing.imports import import_channel
from projects.models import Dataset, DatasetVersion, ImportStatus
from tests.training.made import make_model
from training.models import (
    ComputeClass,
    JobEvent,
    MetricPoint,
    PauseCode,
    Status,
    TrainedModel,
    TrainingJob,
)
from web.sse import notify

LABELS = ["billing", "refunds & credit", "<b>login</b>"]
TABS_OF_JOBS = ("charts", "events", "checkpoints", "settings", "log", "cost")
TABS_OF_MODELS = (
    "summary", "mistakes", "confusion", "labels", "confidence", "groups", "robustness", "metrics",
    "explain", "files", "all",
)  # fmt: skip


def make_states(slug: str) -> list[str]:
    team = Team.objects.get(slug=slug)
    owner = team.memberships.first().user
    version = DatasetVersion.objects.filter(dataset__project__team=team).ready().first()
    done, other = (_succeeded(version, owner, name) for name in ("Tickets", "Tickets again"))
    failed = _job(
        version, owner, "Too large", status=Status.FAILED, finished_at=now(),
        failure_code="out_of_memory", failure_sentence="The machine's memory was not enough.",
    )  # fmt: skip
    paused = _job(version, owner, "Waits", status=Status.PAUSED, pause_code=PauseCode.USER)
    _job(version, owner, "Gone", status=Status.CANCELLED, finished_at=now(), archived_at=now())
    endpoint = Deployment.objects.create(
        team=team, project=done.project, model=done.model, name="tickets", created_by=owner
    )
    RequestLog.objects.create(
        request_id="one", deployment=endpoint, rows=1, tokens=9, latency_ms=4.2, status=200,
        inputs=["Where is my refund?"], answers=["refunds & credit"],
    )  # fmt: skip
    membership.invite(team, owner, email="grace@acme.example", role="member")
    hook, _ = endpoints.create(team, owner, url="https://acme.example/", events=["dataset.ready"])
    delivery = endpoints.send_test(hook, owner)
    paths = [f"/jobs/{done.pk}/?tab={tab}" for tab in TABS_OF_JOBS]
    paths += [f"/jobs/{failed.pk}/", f"/jobs/{paused.pk}/"]
    paths += [f"/models/{done.model_id}/?tab={tab}" for tab in TABS_OF_MODELS]
    paths += [
        f"/models/{done.model_id}/thresholds/",
        f"/models/{done.model_id}/rows/?true=billing&predicted=billing",
        f"/models/{done.model_id}/deploy/",
        f"/models/compare/?a={done.model_id}&b={other.model_id}",
        f"/teams/{slug}/jobs/compare/?job={done.pk}&job={other.pk}",
        f"/teams/{slug}/jobs/?tag=quarter",
        f"/teams/{slug}/search/?q=Tickets",
        f"/deployments/{endpoint.pk}/?by=day",
        f"/datasets/{_unreadable(version).pk}/",
        f"/datasets/{_unused(version).pk}/?tab=versions",
        f"/webhooks/{hook.pk}/",
        f"/webhook-deliveries/{delivery.pk}/",
    ]
    return paths


def _job(
    version: DatasetVersion, owner: object, name: str, machine: str = "cpu", **facts: object
) -> TrainingJob:
    recipe = {
        "task": "text-classification",
        "text_columns": ["message"],
        "target_column": "queue",
        "base_model": "all-MiniLM-L6-v2",
        "hyperparameters": {"epochs": 2},
    }
    job = TrainingJob(
        team=version.dataset.project.team,
        project=version.dataset.project,
        dataset_version=version,
        compute_class=ComputeClass.objects.get(code=machine),
        launched_by=owner,
        name=name,
        task=recipe["task"],
        base_model=recipe["base_model"],
        recipe=recipe,
        tags=["quarter"],
        notes="Seen by the board.",
        log_tail="epoch 1\nepoch 2\n",
        **facts,
    )
    if job.status != Status.SUCCEEDED:
        job.save()
    return job


def _succeeded(version: DatasetVersion, owner: object, name: str) -> TrainingJob:
    """With a model, a report, curves and events."""
    job = _job(version, owner, name, status=Status.SUCCEEDED, finished_at=now(), progress=1)
    with tempfile.TemporaryDirectory() as folder:
        job.model = make_model(job, Path(folder) / "artifact", LABELS, pull=1.5)
    job.started_at = now() - timedelta(minutes=3)
    job.save()
    MetricPoint.objects.bulk_create(
        MetricPoint(job=job, attempt_number=1, name=metric, step=step, value=1 / step)
        for metric in ("train_loss", "validation_loss", "validation_accuracy", "learning_rate")
        for step in range(1, 30)
    )
    JobEvent.objects.create(job=job, message="Epoch 1 done")
    return job


def _unused(version: DatasetVersion) -> Dataset:
    """The same rows once more, which no job and no model holds back from the trash."""
    dataset = Dataset.objects.create(project=version.dataset.project, name="spare.csv")
    version.pk, version.dataset = None, dataset
    version._state.adding = True
    version.save()
    return dataset


def _unreadable(version: DatasetVersion) -> Dataset:
    dataset = Dataset.objects.create(project=version.dataset.project, name="broken.csv")
    DatasetVersion.objects.create(
        dataset=dataset, number=1, status=ImportStatus.FAILED, filename="broken.csv",
        upload_key="uploads/none", upload_bytes=1, upload_sha256="0" * 64, finished_at=now(),
        failure_code="unreadable_file", failure_sentence="This is not a table.",
    )  # fmt: skip
    return dataset


def new_job(slug: str) -> str:
    """A job in the queue of a machine that is not here, so that no worker takes it."""
    team = Team.objects.get(slug=slug)
    version = DatasetVersion.objects.filter(dataset__project__team=team).ready().first()
    job = _job(version, team.memberships.first().user, "Watched", machine="gpu")
    return str(job.pk)


def move_job(job_id: str, name: str) -> str:
    """One of the moves below, and the word to the pages that watch."""
    job = TrainingJob.objects.get(pk=job_id)
    for field, value in _facts_of(job, name).items():
        setattr(job, field, value)
    job.save()
    if name in ("training", "further"):
        _measure(job)
    JobEvent.objects.create(job=job, message=f"Now {name}")
    notify(job.channel)
    return str(job.status)


def _facts_of(job: TrainingJob, name: str) -> dict[str, object]:
    if name == "succeeded":
        with tempfile.TemporaryDirectory() as folder:
            model = make_model(job, Path(folder) / "artifact", LABELS, pull=1.5)
        return {"status": Status.SUCCEEDED, "finished_at": now(), "progress": 1, "model": model}
    if name == "failed":
        return {
            "status": Status.FAILED, "finished_at": now(), "failure_code": "out_of_memory",
            "failure_sentence": "The machine's memory was not enough.",
        }  # fmt: skip
    if name == "paused":
        return {"status": Status.PAUSED, "pause_code": PauseCode.USER}
    progress = {"loading": 0.01, "training": 0.3, "further": 0.6, "evaluating": 0.9}[name]
    return {
        "status": Status.RUNNING, "phase": "training" if name == "further" else name,
        "progress": progress, "started_at": job.started_at or now(), "epochs": 2, "epoch": 1,
        "step": int(progress * 100), "total_steps": 100, "eta_seconds": 75 * (1 - progress),
        "rows_per_second": 12.5,
    }  # fmt: skip


def _measure(job: TrainingJob) -> None:
    """Twenty more steps, with the load of the machine."""
    start = MetricPoint.objects.filter(job=job, name="train_loss").count()
    names = ("train_loss", "validation_loss", "validation_accuracy", "system_cpu_percent")
    MetricPoint.objects.bulk_create(
        MetricPoint(job=job, attempt_number=1, name=name, step=step, value=1 / step)
        for name in names
        for step in range(start + 1, start + 21)
    )


def tell_of_job(job_id: str) -> dict[str, object]:
    """Where a job is, and the ends of its events and its log."""
    job = TrainingJob.objects.get(pk=job_id)
    shown = (
        "name", "status", "pause_code", "phase", "progress", "epoch", "step", "total_steps",
        "eta_seconds", "failure_code", "failure_sentence",
    )  # fmt: skip
    events = JobEvent.objects.filter(job=job).order_by("-pk")[:30]
    going_on = TrainingJob.objects.filter(status=Status.RUNNING).exclude(pk=job.pk)
    return {field: getattr(job, field) for field in shown} | {
        "running_beside_it": going_on.count(),
        "events": [f"{event.at:%H:%M:%S} {event.message}" for event in events][::-1],
        "log": job.log_tail[-3_000:],
    }


def new_import(slug: str) -> str:
    """A dataset whose import somebody holds, so that no worker takes it."""
    ready = DatasetVersion.objects.filter(dataset__project__team__slug=slug).ready().first()
    dataset = Dataset.objects.create(project=ready.dataset.project, name="arriving.csv")
    DatasetVersion.objects.create(
        dataset=dataset, number=1, filename="arriving.csv", upload_key=ready.upload_key,
        upload_bytes=ready.upload_bytes, upload_sha256=ready.upload_sha256,
        claimed_until=now() + timedelta(hours=1),
    )  # fmt: skip
    return str(dataset.pk)


def end_import(dataset_id: str, name: str) -> str:
    """ "ready" with the rows of another version, or "failed"; and the word to the open page."""
    version = DatasetVersion.objects.get(dataset=dataset_id)
    facts: dict[str, object] = {"status": name, "claimed_until": None, "finished_at": now()}
    if name == "failed":
        facts |= {"failure_code": "unreadable_file", "failure_sentence": "This is not a table."}
    else:
        team = version.dataset.project.team
        ready = DatasetVersion.objects.filter(dataset__project__team=team).ready().first()
        taken = ("rows", "columns", "profile", "issues", "parquet_key")
        facts |= {field: getattr(ready, field) for field in taken}
    DatasetVersion.objects.filter(pk=version.pk).update(**facts)
    notify(import_channel(version))
    return name


def new_endpoint(slug: str) -> str:
    """One that goes live while its team's overview and list of endpoints are open."""
    team = Team.objects.get(slug=slug)
    model = TrainedModel.objects.filter(team=team, archived_at=None).first()
    endpoint = Deployment.objects.create(
        team=team, project=model.project, model=model, name=f"live-{now():%H%M%S}",
        created_by=team.memberships.first().user,
    )  # fmt: skip
    notify(f"deployments:{team.pk}")
    return str(endpoint.pk)


def answer(endpoint_id: str) -> str:
    """A few requests in its log."""
    RequestLog.objects.bulk_create(
        RequestLog(
            request_id=f"{endpoint_id[:8]}-{number}", deployment_id=endpoint_id, rows=1, tokens=9,
            latency_ms=4.2, status=200, inputs=["Where is it?"], answers=["billing"],
        )
        for number in range(3)
    )  # fmt: skip
    return endpoint_id


def tell(slug: str) -> int:
    """A notice, which the bell of every open page counts."""
    team = Team.objects.get(slug=slug)
    with transaction.atomic():
        publish(team, "dataset.ready", "A dataset is ready.", url=f"/teams/{slug}/")
    return Notice.objects.filter(team=team).count()


def carry_out_steps() -> None:
    """Each line of the input is a JSON list, a function's name and its arguments; each line of the
    output is what the function returned, in JSON. One process for all, for Django starts slowly."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(globals()[name](*arguments)), flush=True)
