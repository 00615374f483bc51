"""Operators' view of jobs, machines and models. Jobs change only through their verbs, on record."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.models import User
from training import control
from training.errors import JobMovedOn
from training.models import (
    Attempt,
    Checkpoint,
    ComputeClass,
    JobEvent,
    TrainedModel,
    TrainingJob,
    Worker,
)


class ReadOnly:
    """Rows that only the product writes: looked at here, never changed."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnly, admin.TabularInline[Attempt, TrainingJob]):
    model = Attempt
    fields = ("number", "worker", "started_at", "ended_at", "end_reason", "resumed_from_step")


class CheckpointInline(ReadOnly, admin.TabularInline[Checkpoint, TrainingJob]):
    model = Checkpoint
    fields = ("step", "epoch", "attempt_number", "is_best", "created_at", "deleted_at")


class JobEventInline(ReadOnly, admin.TabularInline[JobEvent, TrainingJob]):
    model = JobEvent
    fields = ("at", "level", "kind", "message")


@admin.register(TrainingJob)
class TrainingJobAdmin(ReadOnly, admin.ModelAdmin[TrainingJob]):
    list_display = ("name", "team", "status", "phase", "compute_class", "progress", "created_at")
    list_filter = ("status", "compute_class", "failure_code", "task")
    list_select_related = ("team", "compute_class")
    search_fields = ("id", "name", "team__name", "team__slug")
    date_hierarchy = "created_at"
    inlines = (AttemptInline, CheckpointInline, JobEventInline)
    actions = ("cancel_jobs", "requeue_jobs")

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Looking is for all staff; acting needs Django's change permission on jobs."""
        return request.user.has_perm("training.change_trainingjob")

    @admin.action(description="Cancel", permissions=["run"])
    def cancel_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        self._each(request, jobs, _cancel, "cancelled")

    @admin.action(description="Queue again (paused, or stuck on a machine)", permissions=["run"])
    def requeue_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        self._each(request, jobs, _requeue, "queued again")

    def _each(
        self, request: HttpRequest, jobs: QuerySet[TrainingJob], verb: Any, deed: str
    ) -> None:
        done, late = 0, 0
        for job in jobs.select_related("team", "compute_class"):
            try:
                verb(job, request.user)
                done += 1
            except JobMovedOn:
                late += 1
        self.message_user(request, f"{done} {deed}.")
        if late:
            text = f"{late} had already moved on and stayed as they are."
            self.message_user(request, text, messages.WARNING)


def _cancel(job: TrainingJob, operator: User) -> None:
    control.cancel(job, operator)


def _requeue(job: TrainingJob, operator: User) -> None:
    control.requeue(job, operator)


@admin.register(ComputeClass)
class ComputeClassAdmin(admin.ModelAdmin[ComputeClass]):
    list_display = ("name", "code", "device", "devices", "memory_bytes", "is_offered", "order")
    list_editable = ("is_offered", "order")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return ("code",) if obj else ()  # Rates, queues and jobs name it.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Worker)
class WorkerAdmin(ReadOnly, admin.ModelAdmin[Worker]):
    list_display = ("name", "compute_class", "version", "seen_at")
    list_select_related = ("compute_class",)


@admin.register(TrainedModel)
class TrainedModelAdmin(ReadOnly, admin.ModelAdmin[TrainedModel]):
    list_display = ("name", "team", "task", "base_model", "artifact_bytes", "created_at")
    list_filter = ("task", "base_model")
    list_select_related = ("team",)
    search_fields = ("id", "name", "team__name")
