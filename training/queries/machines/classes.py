"""The state of each compute class for operators: its workers by what they do, and its jobs that
run and wait, in a few queries in all."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast

from django.db.models import Count, Min, Q
from django.utils.timezone import now

from billing.models import Rate
from training.models import ComputeClass, DesiredState, Status, TrainingJob, Worker
from training.models.worker import SILENT_AFTER
from training.scheduling.workers import no_capacity_reason

MAX_IDLE_WORKERS_SHOWN = 50


@dataclass(frozen=True)
class ComputeClassRow:
    """One compute class as it stands now."""

    machine: ComputeClass
    rate_micro: int | None  # Micro-USD for an hour of one device.
    connected: int  # Workers that have reported within SILENT_AFTER.
    idle: int
    draining: int  # Connected, but they take no further jobs.
    silent: int  # Neither stopped nor connected.
    idle_since: datetime | None
    running: int
    queued: int
    waiting_since: datetime | None
    no_capacity_reason: str


class WorkerCounts(TypedDict):
    connected: int
    idle: int
    draining: int
    silent: int
    since: datetime | None  # Since when the worker that has been idle longest is idle.


class JobCounts(TypedDict):
    queued: int
    running: int
    since: datetime | None  # Since when the job that has waited longest is queued.


NO_WORKERS = WorkerCounts(connected=0, idle=0, draining=0, silent=0, since=None)
NO_JOBS = JobCounts(queued=0, running=0, since=None)


def compute_class_rows() -> list[ComputeClassRow]:
    """A row for every compute class; `no_capacity_reason` only where jobs are queued."""
    rates = {
        rate.sku: rate.nano_per_unit * 3600 // 1000
        for rate in Rate.objects.filter(valid__contains=now())
    }
    workers, jobs = _workers_by_class(), _jobs_by_class()
    return [
        _build_row(
            machine,
            rates.get(machine.code),
            workers.get(machine.pk, NO_WORKERS),
            jobs.get(machine.pk, NO_JOBS),
        )
        for machine in ComputeClass.objects.order_by("order", "code")
    ]


def idle_workers() -> list[Worker]:
    """Those that take jobs and have none, the longest idle first."""
    idle = Worker.objects.accepting_jobs().filter(idle_since__isnull=False)
    return list(
        idle.select_related("compute_class").order_by("idle_since")[:MAX_IDLE_WORKERS_SHOWN]
    )


def _build_row(
    machine: ComputeClass, rate: int | None, workers: WorkerCounts, jobs: JobCounts
) -> ComputeClassRow:
    queued = jobs["queued"]
    return ComputeClassRow(
        machine=machine,
        rate_micro=rate,
        connected=workers["connected"],
        idle=workers["idle"],
        draining=workers["draining"],
        silent=workers["silent"],
        idle_since=workers["since"],
        running=jobs["running"],
        queued=queued,
        waiting_since=jobs["since"],
        no_capacity_reason=no_capacity_reason(machine) if queued else "",
    )


def _workers_by_class() -> dict[str, WorkerCounts]:
    running = Q(stopped_at=None)
    connected = running & Q(seen_at__gt=now() - SILENT_AFTER)
    idle = connected & Q(wish=DesiredState.WORK, idle_since__isnull=False)
    rows = Worker.objects.values("compute_class").annotate(
        connected=Count("pk", filter=connected),
        idle=Count("pk", filter=idle),
        draining=Count("pk", filter=connected & ~Q(wish=DesiredState.WORK)),
        silent=Count("pk", filter=running & ~connected),
        since=Min("idle_since", filter=idle),
    )
    return {row["compute_class"]: cast(WorkerCounts, row) for row in rows}


def _jobs_by_class() -> dict[str, JobCounts]:
    rows = (
        TrainingJob.objects.filter(status__in=[Status.QUEUED, Status.RUNNING])
        .order_by()
        .values("compute_class")
        .annotate(
            queued=Count("pk", filter=Q(status=Status.QUEUED)),
            running=Count("pk", filter=Q(status=Status.RUNNING)),
            since=Min("queued_at", filter=Q(status=Status.QUEUED)),
        )
    )
    return {row["compute_class"]: cast(JobCounts, row) for row in rows}
