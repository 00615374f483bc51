"""Changes what live pages show, a step at a time, while a browser looks on; nothing is trained.

`manage.py shell -c "from tests.journeys.moves import new_job; new_job('acme')"` prints what the
next steps ask for as the last line.
"""

import tempfile
from pathlib import Path

from django.db import transaction
from django.utils.timezone import now

from accounts.models import Notice, Team
from accounts.notifications.publish import publish
from projects.models import DatasetVersion
from tests.journeys.states import LABELS, job_of
from tests.training.made import make_model
from training.models import JobEvent, MetricPoint, PauseCode, Status, TrainingJob
from web.sse import notify

MOVES = ("loading", "training", "further", "evaluating", "succeeded", "failed", "paused")


def new_job(slug: str) -> None:
    """A job in the queue of a machine that is not here, so that no worker takes it."""
    team = Team.objects.get(slug=slug)
    version = DatasetVersion.objects.filter(dataset__project__team=team).ready().first()
    job = job_of(version, team.memberships.first().user, "Watched", machine="gpu")
    print(job.pk)


def move_job(job_id: str, name: str) -> None:
    """One of MOVES, and the word to the pages that watch."""
    job = TrainingJob.objects.get(pk=job_id)
    for field, value in _facts_of(job, name).items():
        setattr(job, field, value)
    job.save()
    if name in ("training", "further"):
        _measure(job)
    JobEvent.objects.create(job=job, message=f"Now {name}")
    notify(job.channel)
    print(job.status)


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


def tell(slug: str) -> None:
    """A notice, which the bell of every open page counts."""
    team = Team.objects.get(slug=slug)
    with transaction.atomic():
        publish(team, "dataset.ready", "A dataset is ready.", url=f"/teams/{slug}/")
    print(Notice.objects.filter(team=team).count())
