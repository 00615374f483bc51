"""Trainers announce themselves, and what an operator tells them is obeyed by the real process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils.timezone import now

from accounts.models import AuditEntry
from billing.models import MeteredRun
from tests.training.trainers import PROJECT, environment, wait_until
from training.jobs import actions
from training.models import Attempt, DesiredState, Status, TrainingJob, Worker, WorkerState
from training.scheduling import claims, dispatch, workers
from training.worker import devices


def state(name: str = "w") -> WorkerState:
    return Worker.objects.with_is_busy().get(pk=name).state


def test_a_trainer_is_idle_then_busy_then_idle_again(job, alice):
    workers.register("w", "cpu", devices=[{"name": "A chip", "memory_bytes": 8}])
    assert state() == WorkerState.IDLE
    claims.claim("cpu", "w")
    workers.heartbeat("w")
    assert state() == WorkerState.BUSY
    assert Worker.objects.get().idle_since is None
    job.refresh_from_db()
    actions.cancel(job, alice)
    workers.heartbeat("w")
    assert state() == WorkerState.IDLE
    assert Worker.objects.get().idle_since is not None


def test_silence_and_a_goodbye_look_different(db):
    workers.register("w", "cpu", devices=[])
    Worker.objects.update(seen_at=now() - timedelta(minutes=2))
    assert state() == WorkerState.SILENT
    workers.heartbeat("w")
    assert state() == WorkerState.IDLE
    workers.deregister("w")
    assert state() == WorkerState.STOPPED


def test_one_that_was_stopped_takes_no_jobs_when_it_is_started_again_until_told(job, alice):
    workers.register("w", "cpu", devices=[])
    workers.set_desired_state(Worker.objects.get(), DesiredState.STOP, alice)
    workers.register("w", "cpu", devices=[])
    assert workers.heartbeat("w") == DesiredState.DRAIN
    assert claims.claim("cpu", "w") is None
    workers.set_desired_state(Worker.objects.get(), DesiredState.WORK, alice)
    assert claims.claim("cpu", "w") is not None
    assert AuditEntry.objects.filter(action="worker.stop", target="w").exists()


def test_trainers_not_seen_for_weeks_are_forgotten(db):
    workers.register("old", "cpu", devices=[])
    workers.register("new", "cpu", devices=[])
    Worker.objects.filter(pk="old").update(seen_at=now() - timedelta(days=15))
    assert workers.delete_old() == 1
    assert Worker.objects.get().pk == "new"


SMI = """0, GPU-11aa, NVIDIA H100 80GB HBM3, 81559
1, GPU-22bb, NVIDIA H100 80GB HBM3, 81559
2, GPU-33cc, NVIDIA GB10, [N/A]
"""


@pytest.mark.parametrize(
    ("visible", "count"),
    [(None, 3), ("0", 1), ("0,1", 2), ("GPU-22", 1), ("", 0), ("7", 0), ("-1", 0)],
)
def test_gpus_are_read_as_cuda_would_see_them(visible, count):
    assert len(devices.parse_gpus(SMI, visible)) == count


def test_a_gpu_has_a_name_and_memory():
    first, _, shared = devices.parse_gpus(SMI, None)
    assert first == {"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 81559 * 2**20}
    assert shared["memory_bytes"] == 0


def test_this_machine_has_a_processor_with_memory_and_asking_for_gpus_never_fails():
    (processor,) = devices.detect_devices("cpu")
    assert "cores" in processor["name"]
    assert processor["memory_bytes"] > 2**28
    assert isinstance(devices.detect_devices("cuda"), list)


class Celery:
    """A real trainer: a Celery worker with its pool, on the test database."""

    name = "tester@here"

    def __init__(self, **changes: str) -> None:
        app = ["-A", "tests.training.celery_app"]
        command = [sys.executable, "-m", "celery", *app, "worker", "-Q", "compute.cpu"]
        options = ["-c", "1", "-n", self.name, "--without-gossip", "--without-mingle"]
        self.process = subprocess.Popen(
            [*command, *options, "--loglevel", "warning"],
            env=environment(REDIS_URL=settings.REDIS_URL, LEASE_SECONDS="30", **changes),
            cwd=PROJECT,
            start_new_session=True,
        )

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@pytest.fixture
def celery() -> Iterator[Callable[[], Celery]]:
    started: list[Celery] = []

    def start() -> Celery:
        started.append(Celery())
        return started[-1]

    yield start
    for one in started:
        one.end()


def seen(wanted: WorkerState) -> Callable[[], bool]:
    return lambda: Worker.objects.exists() and state(Celery.name) == wanted


def wait_until_it_runs(job: TrainingJob) -> None:
    def is_running() -> bool:
        dispatch.notify_workers_of_queued_jobs()
        return TrainingJob.objects.get(pk=job.pk).step > 2

    wait_until(is_running, 240, "for the job to train")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_real_trainer_is_seen_idle_and_busy_drains_and_stops_by_handing_its_job_back(
    job, alice, celery
):
    job.recipe |= {"hyperparameters": {"epochs": 500}, "checkpoint_seconds": 1}
    job.save()
    trainer = celery()
    wait_until(seen(WorkerState.IDLE), 120, "for the trainer to say hello")
    assert Worker.objects.get().devices[0]["memory_bytes"] > 0
    wait_until_it_runs(job)
    wait_until(seen(WorkerState.BUSY), 30, "for the trainer to look busy")
    workers.set_desired_state(Worker.objects.get(), DesiredState.DRAIN, alice)
    wait_until(seen(WorkerState.DRAINING), 30, "for the trainer to drain")
    assert Attempt.objects.live().get().worker == Celery.name
    workers.set_desired_state(Worker.objects.get(), DesiredState.STOP, alice)
    trainer.process.wait(90)
    assert trainer.process.returncode == 0
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert job.checkpoints.kept().exists()
    assert not MeteredRun.objects.live().exists()
    assert state(Celery.name) == WorkerState.STOPPED
