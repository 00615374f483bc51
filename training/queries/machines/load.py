"""What the machines do now: each trainer with its devices and how busy its job keeps them."""

from dataclasses import dataclass

from training.models import Attempt, Worker
from training.queries.job_page.charts import SYSTEM
from training.queries.metric_series import newest_values

MAX_TRAINERS = 50
GIB = 2**30


@dataclass(frozen=True)
class TrainerLoad:
    """A figure is None where nothing is measured: without a job, or without a GPU."""

    name: str
    machine: str
    devices: str  # Such as "2 × NVIDIA H200".
    device_gib: float | None  # Memory of the first device.
    job: str
    job_id: object
    cpu_percent: float | None = None
    memory_gib: float | None = None
    gpu_percent: float | None = None
    gpu_memory_gib: float | None = None


def trainer_loads() -> list[TrainerLoad]:
    """Those that are alive, at most MAX_TRAINERS, in three queries. A job's first GPU stands for
    all of its: that is what its trainer measures."""
    online = Worker.objects.online().select_related("compute_class").order_by("name")
    trainers = list(online[:MAX_TRAINERS])
    live = Attempt.objects.live().filter(worker__in=[trainer.name for trainer in trainers])
    jobs = {
        attempt.worker: attempt.job for attempt in live.select_related("job").defer("job__log_tail")
    }
    measured = newest_values(jobs.values(), SYSTEM) if jobs else {}
    loads = []
    for trainer in trainers:
        job = jobs.get(trainer.name)
        values = measured.get(job.pk, {}) if job else {}
        first = trainer.devices[0] if trainer.devices else None
        loads.append(
            TrainerLoad(
                name=trainer.name,
                machine=trainer.compute_class.name,
                devices=_describe(trainer),
                device_gib=first["memory_bytes"] / GIB if first else None,
                job=job.name if job else "",
                job_id=job.pk if job else None,
                cpu_percent=values.get("system_cpu_percent"),
                memory_gib=values.get("system_memory_gib"),
                gpu_percent=values.get("system_gpu_percent"),
                gpu_memory_gib=values.get("system_gpu_memory_gib"),
            )
        )
    return loads


def _describe(trainer: Worker) -> str:
    names = [device["name"] for device in trainer.devices]
    counted = {name: names.count(name) for name in names}
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counted.items())
