"""How busy the engine keeps its machine: processors, memory and, where there is one, the GPU."""

import logging
import shutil
import subprocess
import time
from contextlib import suppress

import psutil
from django.db import Error as DatabaseError
from django.utils.timezone import now

from training.models import Attempt, MetricPoint

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
GIB = 2**30
NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=utilization.gpu,memory.used",
    "--format=csv,noheader,nounits",
)
NVIDIA_SMI_TIMEOUT = 2.0


class HardwareSampler:
    """Measures an attempt's engine with its children every few seconds, as metrics of the job.

    The step of such a metric is the second since the job started. Nothing here ever ends a job.
    """

    def __init__(self, attempt: Attempt, pid: int) -> None:
        self._attempt = attempt
        self._pid = pid
        self._processes: dict[int, psutil.Process] = {}
        self._next_at = time.monotonic() + INTERVAL_SECONDS
        self._has_gpu = shutil.which(NVIDIA_SMI[0]) is not None

    def sample_if_due(self) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + INTERVAL_SECONDS
        with suppress(psutil.Error, DatabaseError):
            self._store(self.measure())

    def measure(self) -> dict[str, float]:
        """By metric: percent of all processors, GiB in memory, and the same of the first GPU."""
        engine = psutil.Process(self._pid)
        running = [engine, *engine.children(recursive=True)]
        # Percentages are since the last call, so that the same objects must be asked again.
        self._processes = {one.pid: self._processes.get(one.pid, one) for one in running}
        cpu, memory = 0.0, 0
        for process in self._processes.values():
            with suppress(psutil.Error):
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
        measured = {
            "system_cpu_percent": min(100.0, cpu / (psutil.cpu_count() or 1)),
            "system_memory_gib": memory / GIB,
        }
        return measured | (_measure_gpu() if self._has_gpu else {})

    def _store(self, measured: dict[str, float]) -> None:
        job = self._attempt.job
        second = int((now() - (job.started_at or self._attempt.started_at)).total_seconds())
        points = [
            MetricPoint(
                job=job,
                attempt_number=self._attempt.number,
                name=name,
                step=max(0, second),
                value=value,
            )
            for name, value in measured.items()
        ]
        MetricPoint.objects.bulk_create(points, ignore_conflicts=True)


def _measure_gpu() -> dict[str, float]:
    """Of the first GPU, as its driver says; nothing where it does not answer."""
    try:
        answer = subprocess.run(
            NVIDIA_SMI, capture_output=True, text=True, timeout=NVIDIA_SMI_TIMEOUT, check=True
        )
        load, memory_mib = answer.stdout.splitlines()[0].split(",")
        return {
            "system_gpu_percent": float(load),
            "system_gpu_memory_gib": float(memory_mib) / 1024,
        }
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {}
