"""What operators see of the machines: who is there, who idles, who waits. A few queries in all."""

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
    rate_micro: int | None  # For an hour of one device.
    seen: int
    idle: int
    draining: int
    silent: int
    idle_since: datetime | None
    running: int
    queued: int
    waiting_since: datetime | None
    no_capacity_reason: str


class WorkerCounts(TypedDict):
    seen: int
    idle: int
    draining: int
    silent: int
    since: datetime | None  # When the one that has idled longest began to.


class JobCounts(TypedDict):
    queued: int
    running: int
    since: datetime | None  # When the one that has waited longest was queued.


NO_WORKERS = WorkerCounts(seen=0, idle=0, draining=0, silent=0, since=None)
NO_JOBS = JobCounts(queued=0, running=0, since=None)


def compute_class_rows() -> list[ComputeClassRow]:
    """Every class; only those with waiting jobs are asked why nobody takes them."""
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
        seen=workers["seen"],
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
    here = Q(stopped_at=None)
    seen = here & Q(seen_at__gt=now() - SILENT_AFTER)
    idle = seen & Q(wish=DesiredState.WORK, idle_since__isnull=False)
    rows = Worker.objects.values("compute_class").annotate(
        seen=Count("pk", filter=seen),
        idle=Count("pk", filter=idle),
        draining=Count("pk", filter=seen & ~Q(wish=DesiredState.WORK)),
        silent=Count("pk", filter=here & ~seen),
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
