"""What operators see of the machines: who is there, who idles, who waits. A few queries in all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from django.utils.timezone import now

from billing.models import Rate
from training import registry
from training.models import ComputeClass, Status, TrainingJob, Wish, Worker
from training.models.workers import SILENT_AFTER

SHOWN_IDLE = 50


@dataclass(frozen=True)
class ClassRow:
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
    why_nobody: str


def class_rows() -> list[ClassRow]:
    """Every class; only those with waiting jobs are asked why nobody takes them."""
    rates = hourly_rates()
    workers, jobs = _workers_by_class(), _jobs_by_class()
    return [
        _row(
            machine, rates.get(machine.code), workers.get(machine.pk, {}), jobs.get(machine.pk, {})
        )
        for machine in ComputeClass.objects.order_by("order", "code")
    ]


def hourly_rates() -> dict[str, int]:
    """Micro-USD for an hour of one device now, by SKU."""
    rates = Rate.objects.filter(valid__contains=now())
    return {rate.sku: rate.nano_per_unit * 3600 // 1000 for rate in rates}


def idle_workers() -> list[Worker]:
    """Those that take jobs and have none, the longest idle first."""
    idle = Worker.objects.taking_jobs().filter(idle_since__isnull=False)
    return list(idle.select_related("compute_class").order_by("idle_since")[:SHOWN_IDLE])


def _row(
    machine: ComputeClass, rate: int | None, workers: dict[str, Any], jobs: dict[str, Any]
) -> ClassRow:
    queued = jobs.get("queued", 0)
    return ClassRow(
        machine=machine,
        rate_micro=rate,
        seen=workers.get("seen", 0),
        idle=workers.get("idle", 0),
        draining=workers.get("draining", 0),
        silent=workers.get("silent", 0),
        idle_since=workers.get("since"),
        running=jobs.get("running", 0),
        queued=queued,
        waiting_since=jobs.get("since"),
        why_nobody=registry.why_nobody(machine) if queued else "",
    )


def _workers_by_class() -> dict[str, dict[str, Any]]:
    here = Q(stopped_at=None)
    seen = here & Q(seen_at__gt=now() - SILENT_AFTER)
    idle = seen & Q(wish=Wish.WORK, idle_since__isnull=False)
    rows = Worker.objects.values("compute_class").annotate(
        seen=Count("pk", filter=seen),
        idle=Count("pk", filter=idle),
        draining=Count("pk", filter=seen & ~Q(wish=Wish.WORK)),
        silent=Count("pk", filter=here & ~seen),
        since=Min("idle_since", filter=idle),
    )
    return {row["compute_class"]: dict(row) for row in rows}


def _jobs_by_class() -> dict[str, dict[str, Any]]:
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
    return {row["compute_class"]: dict(row) for row in rows}
