"""Counts of what Celery's workers did, by task; also of pools whose children do the work."""

import multiprocessing
import time
from collections.abc import Iterable

from celery.signals import celeryd_init, task_postrun, task_prerun
from prometheus_client.metrics_core import CounterMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from web.telemetry.registry import REGISTRY

STATES = ("SUCCESS", "FAILURE", "RETRY")
_NUMBERS_PER_TASK = len(STATES) + 1  # The last: seconds.


class TaskCounts(Collector):
    """Made before the pool forks its children: all of them count in the same memory."""

    def __init__(self, tasks: Iterable[str]) -> None:
        self._places = {task: n * _NUMBERS_PER_TASK for n, task in enumerate(sorted(tasks))}
        self._numbers = multiprocessing.Array("d", len(self._places) * _NUMBERS_PER_TASK)
        self._began: dict[str, float] = {}

    def begin(self, task_id: str) -> None:
        self._began[task_id] = time.monotonic()

    def end(self, task_id: str, task: str, state: str) -> None:
        seconds = time.monotonic() - self._began.pop(task_id, time.monotonic())
        if (place := self._places.get(task)) is None:
            return
        with self._numbers.get_lock():
            if state in STATES:
                self._numbers[place + STATES.index(state)] += 1
            self._numbers[place + len(STATES)] += seconds

    def collect(self) -> Iterable[Metric]:
        runs = CounterMetricFamily(
            "lathe_tasks", "Tasks that ended, by how.", labels=["task", "state"]
        )
        seconds = SummaryMetricFamily("lathe_task_seconds", "Time in tasks.", labels=["task"])
        for task, place in self._places.items():
            counts = self._numbers[place : place + len(STATES)]
            if total := sum(counts):
                for state, count in zip(STATES, counts, strict=True):
                    runs.add_metric([task, state], count)
                seconds.add_metric([task], int(total), self._numbers[place + len(STATES)])
        yield from (runs, seconds)


@celeryd_init.connect
def count_tasks(instance: object, **_: object) -> None:
    """From here on, in this worker and the children of its pool."""
    app = instance.app  # type: ignore[attr-defined]
    counts = TaskCounts(task for task in app.tasks if not task.startswith("celery."))
    REGISTRY.register(counts)
    task_prerun.connect(lambda task_id, **_: counts.begin(task_id), weak=False)
    task_postrun.connect(
        lambda task_id, task, state, **_: counts.end(task_id, task.name, state or ""), weak=False
    )
