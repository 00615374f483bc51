"""Operators' view of jobs, machines and models. Jobs change only through their verbs, on record."""

from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from accounts.models import Team, User
from training import admin_compute, control  # noqa: F401  (Registers the machines' pages.)
from training.errors import BadPriority, JobMovedOn
from training.job_listing import percent_of
from training.models import Attempt, Checkpoint, TrainedModel, TrainingJob
from training.models.jobs import HIGHEST_PRIORITY, TEAM_PRIORITIES
from web.paging import LargeTablePaginator

SHOWN_EVENTS = 100


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


class JobActionForm(ActionForm):
    """What two of the actions need to be told."""

    # Words here, for a form that is not valid would be taken for a missing action.
    priority = forms.CharField(required=False, label="Priority", max_length=60)
    reason = forms.CharField(required=False, label="Reason", max_length=200)


@admin.register(TrainingJob)
class TrainingJobAdmin(ReadOnly, admin.ModelAdmin[TrainingJob]):
    list_display = (
        "name", "team", "status", "phase", "compute_class", "priority", "done", "created_at"
    )  # fmt: skip
    list_filter = ("status", "compute_class", "failure_code", "task")
    list_select_related = ("team", "compute_class")
    search_fields = ("name",)
    search_help_text = "Part of a job's name, a job's id or a team's slug."
    paginator = LargeTablePaginator
    show_full_result_count = False
    list_per_page = 50
    readonly_fields = ("latest_events",)
    inlines = (AttemptInline, CheckpointInline)
    action_form = JobActionForm
    actions = ("cancel_jobs", "requeue_jobs", "fail_jobs", "prioritise_jobs")

    @admin.display(description="done", ordering="progress")
    def done(self, job: TrainingJob) -> str:
        return f"{percent_of(job)}%"

    @admin.display(description="latest events")
    def latest_events(self, job: TrainingJob) -> SafeString:
        events = job.events.order_by("-id")[:SHOWN_EVENTS]
        lines = ((event.at.strftime("%Y-%m-%d %H:%M:%S"), event.message) for event in events)
        return format_html_join(SafeString("<br>"), "{} {}", lines)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TrainingJob], search_term: str
    ) -> tuple[QuerySet[TrainingJob], bool]:
        """By a team or an id through their indexes; only names are looked through one by one."""
        team = Team.objects.filter(slug=search_term.strip()).first()
        if team is not None:
            return queryset.filter(team=team), False
        with suppress(ValueError):
            return queryset.filter(pk=UUID(search_term.strip())), False
        return super().get_search_results(request, queryset, search_term)

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Looking is for all staff; acting needs Django's change permission on jobs."""
        return request.user.has_perm("training.change_trainingjob")

    @admin.action(description="Cancel", permissions=["run"])
    def cancel_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        self._each(request, jobs, control.cancel, "cancelled")

    @admin.action(description="Queue again (paused, or stuck on a machine)", permissions=["run"])
    def requeue_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        self._each(request, jobs, control.requeue, "queued again")

    @admin.action(description="Fail with a refund (give a reason)", permissions=["run"])
    def fail_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        reason = request.POST.get("reason", "").strip()[:200]
        if not reason:
            self.message_user(request, "Give a reason: the customer reads it.", messages.ERROR)
            return
        fail = partial(control.fail_with_refund, reason=f"{reason.rstrip('.')}.")
        self._each(request, jobs, fail, "failed and given back")

    @admin.action(description="Set the priority (give a number)", permissions=["run"])
    def prioritise_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        try:
            priority = int(request.POST.get("priority", "")[:6])
        except ValueError:
            self.message_user(request, BadPriority.sentence, messages.ERROR)
            return
        if not TEAM_PRIORITIES[0] <= priority <= HIGHEST_PRIORITY:
            self.message_user(request, BadPriority.sentence, messages.ERROR)
            return
        verb = partial(_prioritise, priority=priority)
        self._each(request, jobs, verb, f"given priority {priority}")

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


def _prioritise(job: TrainingJob, operator: User, *, priority: int) -> None:
    control.prioritise(job, priority, operator)


@admin.register(TrainedModel)
class TrainedModelAdmin(ReadOnly, admin.ModelAdmin[TrainedModel]):
    list_display = ("name", "team", "task", "base_model", "artifact_bytes", "created_at")
    list_filter = ("task", "base_model")
    list_select_related = ("team",)
    search_fields = ("id", "name", "team__name")
