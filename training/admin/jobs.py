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
from training.errors import InvalidPriority, StaleJobState
from training.jobs import actions
from training.models import Attempt, Checkpoint, TrainedModel, TrainingJob
from training.models.job import MAX_PRIORITY, TEAM_PRIORITY_RANGE
from web.admin import ReadOnlyAdminMixin
from web.pagination import LargeTablePaginator

MAX_EVENTS_SHOWN = 100


class AttemptInline(ReadOnlyAdminMixin, admin.TabularInline[Attempt, TrainingJob]):
    model = Attempt
    fields = ("number", "worker", "started_at", "ended_at", "end_reason", "resumed_from_step")


class CheckpointInline(ReadOnlyAdminMixin, admin.TabularInline[Checkpoint, TrainingJob]):
    model = Checkpoint
    fields = ("step", "epoch", "attempt_number", "is_best", "created_at", "deleted_at")


class JobActionForm(ActionForm):
    """What two of the actions need to be told."""

    # Words here, for a form that is not valid would be taken for a missing action.
    priority = forms.CharField(required=False, label="Priority", max_length=60)
    reason = forms.CharField(required=False, label="Reason", max_length=200)


@admin.register(TrainingJob)
class TrainingJobAdmin(ReadOnlyAdminMixin, admin.ModelAdmin[TrainingJob]):
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
        return f"{int(job.progress * 100)}%"

    @admin.display(description="latest events")
    def latest_events(self, job: TrainingJob) -> SafeString:
        events = job.events.order_by("-id")[:MAX_EVENTS_SHOWN]
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
        self._apply_to_each(request, jobs, actions.cancel, "cancelled")

    @admin.action(description="Queue again (paused, or stuck on a machine)", permissions=["run"])
    def requeue_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        self._apply_to_each(request, jobs, actions.requeue, "queued again")

    @admin.action(description="Fail with a refund (give a reason)", permissions=["run"])
    def fail_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        reason = request.POST.get("reason", "").strip()[:200]
        if not reason:
            self.message_user(request, "Give a reason: the customer reads it.", messages.ERROR)
            return
        fail = partial(actions.fail_with_refund, reason=f"{reason.rstrip('.')}.")
        self._apply_to_each(request, jobs, fail, "failed and given back")

    @admin.action(description="Set the priority (give a number)", permissions=["run"])
    def prioritise_jobs(self, request: HttpRequest, jobs: QuerySet[TrainingJob]) -> None:
        try:
            priority = int(request.POST.get("priority", "")[:6])
        except ValueError:
            self.message_user(request, InvalidPriority.sentence, messages.ERROR)
            return
        if not TEAM_PRIORITY_RANGE[0] <= priority <= MAX_PRIORITY:
            self.message_user(request, InvalidPriority.sentence, messages.ERROR)
            return

        def prioritise(job: TrainingJob, operator: User) -> None:
            actions.prioritise(job, priority, operator)

        self._apply_to_each(request, jobs, prioritise, f"given priority {priority}")

    def _apply_to_each(
        self, request: HttpRequest, jobs: QuerySet[TrainingJob], verb: Any, deed: str
    ) -> None:
        done, late = 0, 0
        for job in jobs.select_related("team", "compute_class"):
            try:
                verb(job, request.user)
                done += 1
            except StaleJobState:
                late += 1
        self.message_user(request, f"{done} {deed}.")
        if late:
            text = f"{late} had already moved on and stayed as they are."
            self.message_user(request, text, messages.WARNING)


@admin.register(TrainedModel)
class TrainedModelAdmin(ReadOnlyAdminMixin, admin.ModelAdmin[TrainedModel]):
    list_display = ("name", "team", "task", "base_model", "artifact_bytes", "created_at")
    list_filter = ("task", "base_model")
    list_select_related = ("team",)
    search_fields = ("id", "name", "team__name")
