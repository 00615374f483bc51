"""Who runs next: the queue is the table, a message only says that there may be work."""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from billing import budget as budgets
from billing import metering
from billing.errors import CapReached
from training.models import Attempt, Checkpoint, ComputeClass, Status, TrainingJob, Worker
from training.tasks import work

logger = logging.getLogger(__name__)

SILENT_AFTER = timedelta(minutes=2)  # A trainer says hello at every nudge, every few seconds.
PAUSED_AT_CAP = "Paused: the team's monthly spend cap is reached. Raise the cap, then resume."


def claim(compute_class: str, worker: str) -> Attempt | None:
    """Take the next job of this class for this worker, or None when nothing may run now.

    Fair across teams (fewest running first, then priority, then oldest) and within each plan's
    concurrency. Any number of workers may claim at once; a job goes to exactly one.
    """
    passed_over: list[UUID] = []
    while True:
        with transaction.atomic():
            job = _next_waiting(compute_class, passed_over)
            if job is None:
                return None
            if (attempt := _begin(job, worker)) is not None:
                return attempt
            passed_over.append(job.pk)


def _next_waiting(compute_class: str, passed_over: list[UUID]) -> TrainingJob | None:
    return (
        TrainingJob.objects.filter(
            status=Status.QUEUED, compute_class=compute_class, team__frozen_at=None
        )
        .exclude(pk__in=passed_over)
        .annotate(running=Coalesce(Subquery(_running_of_same_team()), Value(0)))
        .order_by("running", "-priority", "queued_at", "pk")
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("team", "compute_class")
        .first()
    )


def _running_of_same_team() -> QuerySet[TrainingJob, Any]:
    return (
        TrainingJob.objects.filter(team=OuterRef("team"), status=Status.RUNNING)
        .order_by()
        .values("team")
        .annotate(number=Count("pk"))
        .values("number")
    )


def _begin(job: TrainingJob, worker: str) -> Attempt | None:
    """Start an attempt on a locked, queued job; None when its team may not run another now."""
    budget = budgets.lock(job.team_id)  # From here on, claims of one team go one by one.
    running = TrainingJob.objects.filter(team=job.team_id, status=Status.RUNNING).count()
    if running >= budget.plan.concurrency:
        return None
    try:
        run = metering.open_run(
            job.team, job.source, job.compute_class_id, job.compute_class.devices
        )
    except CapReached:
        job.pause(PAUSED_AT_CAP)
        return None
    job.start()
    checkpoint = latest_checkpoint(job)
    attempt = Attempt.objects.create(
        job=job,
        number=job.attempts.count() + 1,
        worker=worker,
        run=run,
        resumed_from_step=checkpoint.step if checkpoint else None,
        halved_batches=job.attempts.filter(end_reason="out of memory").count(),
    )
    resumed = f", resuming from step {checkpoint.step:,}" if checkpoint else ""
    job.say(f"Running on {worker}, attempt {attempt.number}{resumed}")
    return attempt


def latest_checkpoint(job: TrainingJob) -> Checkpoint | None:
    """The furthest saved state whose files still exist."""
    return job.checkpoints.filter(deleted_at=None).order_by("-step", "-pk").first()


def nudge(job: TrainingJob) -> None:
    """Tell the trainers of the job's class, once the transaction commits."""
    code, queue = job.compute_class_id, job.compute_class.queue
    transaction.on_commit(lambda: send_nudge(code, queue))


def send_nudge(code: str, queue: str) -> None:
    """One message. A broker that is away is no reason to fail: beat sends the nudge again."""
    try:
        work.apply_async((code,), queue=queue, expires=60, retry=False)
    except OperationalError as unreachable:
        logger.warning("Could not nudge %s: %s", queue, unreachable)


def nudge_waiting() -> None:
    """Nudge every class with waiting jobs, so that a lost message only costs seconds."""
    for code in (
        TrainingJob.objects.filter(status=Status.QUEUED)
        .values_list("compute_class", flat=True)
        .distinct()
        .order_by()
    ):
        send_nudge(code, f"compute.{code}")


def greet(worker: str, compute_class: str) -> None:
    """Remember that this trainer is alive."""
    Worker.objects.update_or_create(
        name=worker,
        defaults={
            "compute_class_id": compute_class,
            "version": settings.VERSION,
            "seen_at": now(),
        },
    )


def waiting(job: TrainingJob) -> str:
    """Why a queued job is not running yet, in a few words."""
    if job.team.frozen_at:
        return "this team is on hold"
    budget = budgets.of(job.team)
    running = TrainingJob.objects.filter(team=job.team, status=Status.RUNNING).count()
    if running >= budget.plan.concurrency:
        return f"your plan runs {budget.plan.concurrency} at a time and {running} are running"
    ahead = _ahead_of(job)
    if ahead:
        return f"{ahead} job{'s' if ahead > 1 else ''} ahead"
    return _workers_state(job.compute_class) or "starting in a moment"


def _ahead_of(job: TrainingJob) -> int:
    queued = TrainingJob.objects.filter(status=Status.QUEUED, compute_class=job.compute_class)
    running = TrainingJob.objects.filter(status=Status.RUNNING, compute_class=job.compute_class)
    before = queued.filter(priority__gt=job.priority) | queued.filter(
        priority=job.priority, queued_at__lt=job.queued_at
    )
    return before.exclude(pk=job.pk).count() + running.count()


def _workers_state(compute_class: ComputeClass) -> str:
    newest = (
        Worker.objects.filter(compute_class=compute_class).order_by(F("seen_at").desc()).first()
    )
    if newest is None:
        return f"no {compute_class.code} trainer has ever been seen; start one"
    silent_for = now() - newest.seen_at
    if silent_for > SILENT_AFTER:
        minutes = int(silent_for.total_seconds() // 60)
        return f"no {compute_class.code} trainer has been seen for {minutes} min"
    return ""
