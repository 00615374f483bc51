"""The trainers: who has been seen, doing what, and what an operator wants of them."""

from datetime import datetime, timedelta
from typing import Self, TypedDict

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from training.models.attempt import Attempt
from training.models.compute_class import ComputeClass

SILENT_AFTER = timedelta(seconds=60)  # A trainer sends a heartbeat every few seconds, busy or idle.


class DeviceInfo(TypedDict):
    """One device of a trainer's machine, as stored in its row."""

    name: str
    memory_bytes: int


class DesiredState(models.TextChoices):
    """What an operator wants of a trainer."""

    WORK = "work"
    DRAIN = "drain"  # Finish the present job, take no more.
    STOP = "stop"  # Save the present job, hand it back, exit; take no more when started again.


class WorkerState(models.TextChoices):
    """What a trainer is seen to be doing."""

    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    STOPPED = "stopped"
    SILENT = "silent"


class WorkerQuerySet(models.QuerySet["Worker"]):
    def with_is_busy(self) -> Self:
        """Annotated with `is_busy`: whether an attempt of it is live."""
        return self.annotate(is_busy=Exists(Attempt.objects.live().filter(worker=OuterRef("name"))))

    def online(self) -> Self:
        """Those that are alive."""
        return self.filter(stopped_at=None, seen_at__gt=now() - SILENT_AFTER)

    def accepting_jobs(self) -> Self:
        return self.online().filter(wish=DesiredState.WORK)


class Worker(models.Model):
    """A trainer process: its last heartbeat, its devices and what an operator wants of it."""

    name = models.CharField(primary_key=True, max_length=120)
    compute_class = models.ForeignKey(ComputeClass, models.CASCADE, related_name="workers")
    version = models.CharField(max_length=20)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField(default=now)
    stopped_at = models.DateTimeField(null=True, blank=True)  # It ended in good order.
    idle_since = models.DateTimeField(null=True, blank=True)  # Null while a job runs on it.
    devices = models.JSONField(default=list)  # A list of DeviceInfo.
    slots = models.PositiveSmallIntegerField(default=1)  # Jobs it can carry at once.
    wish = models.CharField(max_length=5, choices=DesiredState.choices, default=DesiredState.WORK)
    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> WorkerState:
        """Needs `with_is_busy`."""
        is_busy = bool(self.__dict__.get("is_busy"))
        return worker_state(self, is_busy=is_busy, moment=now())


def worker_state(worker: Worker, *, is_busy: bool, moment: datetime) -> WorkerState:
    """Stopped and silent come first: what such a trainer last did says nothing any more."""
    if worker.stopped_at is not None:
        return WorkerState.STOPPED
    if moment - worker.seen_at > SILENT_AFTER:
        return WorkerState.SILENT
    if worker.wish != DesiredState.WORK:
        return WorkerState.DRAINING
    return WorkerState.BUSY if is_busy else WorkerState.IDLE
