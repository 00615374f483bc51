"""The trainers: who has been seen, doing what, and what an operator wants of them."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.timezone import now

from training.models.attempts import Attempt
from training.models.compute import ComputeClass

SILENT_AFTER = timedelta(seconds=60)  # A trainer speaks every few seconds, busy or idle.


class Wish(models.TextChoices):
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
    def with_jobs(self) -> Self:
        """Annotated with `is_busy`: whether an attempt of it is live."""
        return self.annotate(is_busy=Exists(Attempt.objects.live().filter(worker=OuterRef("name"))))

    def seen(self) -> Self:
        """Those that are alive."""
        return self.filter(stopped_at=None, seen_at__gt=now() - SILENT_AFTER)

    def taking_jobs(self) -> Self:
        return self.seen().filter(wish=Wish.WORK)


class Worker(models.Model):
    """A trainer process that speaks every few seconds; silence and wishes are rows, too."""

    name = models.CharField(primary_key=True, max_length=120)
    compute_class = models.ForeignKey(ComputeClass, models.CASCADE, related_name="workers")
    version = models.CharField(max_length=20)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField(default=now)
    stopped_at = models.DateTimeField(null=True, blank=True)  # It said goodbye.
    idle_since = models.DateTimeField(null=True, blank=True)  # Null while a job runs on it.
    devices = models.JSONField(default=list)  # [{"name": …, "memory_bytes": …}], as found there.
    slots = models.PositiveSmallIntegerField(default=1)  # Jobs it can carry at once.
    wish = models.CharField(max_length=5, choices=Wish.choices, default=Wish.WORK)
    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> WorkerState:
        """Needs `with_jobs`."""
        is_busy = bool(self.__dict__.get("is_busy"))
        return state_of(self, is_busy=is_busy, moment=now())


def state_of(worker: Worker, *, is_busy: bool, moment: datetime) -> WorkerState:
    """Stopped and silent come first: what such a trainer last did says nothing any more."""
    if worker.stopped_at is not None:
        return WorkerState.STOPPED
    if moment - worker.seen_at > SILENT_AFTER:
        return WorkerState.SILENT
    if worker.wish != Wish.WORK:
        return WorkerState.DRAINING
    return WorkerState.BUSY if is_busy else WorkerState.IDLE
