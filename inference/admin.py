"""Deployments in the Django admin: shown, and retired in an emergency."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import User
from inference import deployments
from inference.errors import AlreadyRetired
from inference.models import Deployment, Feedback, RequestLog, ScheduledDeployment
from web.admin import ReadOnlyAdminMixin

if TYPE_CHECKING:
    DeploymentBase = admin.ModelAdmin[Deployment]
    ScheduledBase = admin.ModelAdmin[ScheduledDeployment]
    LogBase = admin.ModelAdmin[RequestLog]
    FeedbackBase = admin.ModelAdmin[Feedback]
else:  # Django's own class takes no type parameter at run time.
    DeploymentBase = ScheduledBase = LogBase = FeedbackBase = admin.ModelAdmin


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdminMixin, DeploymentBase):
    list_display = ("name", "team", "model", "created_at", "changed_at", "retired_at")
    list_filter = (("retired_at", admin.EmptyFieldListFilter),)
    list_select_related = ("team", "model")
    search_fields = ("name", "team__name")
    date_hierarchy = "created_at"
    actions = ("retire",)

    @admin.action(description="Retire: stop serving", permissions=["retire"])
    def retire(self, request: HttpRequest, selected: QuerySet[Deployment]) -> None:
        assert isinstance(request.user, User)
        retired = 0
        for deployment in selected.select_related("team"):
            try:
                deployments.retire(deployment, request.user)
                retired += 1
            except AlreadyRetired:
                continue
        self.message_user(request, f"{retired} retired.", messages.SUCCESS)

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inference.change_deployment")


@admin.register(ScheduledDeployment)
class ScheduledDeploymentAdmin(ReadOnlyAdminMixin, ScheduledBase):
    list_display = ("name", "team", "job", "dataset_version", "created_at", "outcome")
    list_select_related = ("team", "job", "dataset_version__dataset")
    search_fields = ("name", "team__name")


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdminMixin, LogBase):
    list_display = ("request_id", "deployment", "token_prefix", "rows", "latency_ms", "status")
    date_hierarchy = "at"
    list_filter = ("status",)
    list_select_related = ("deployment",)
    search_fields = ("request_id", "deployment__name")
    exclude = ("inputs", "answers", "asked")  # Customers' texts are not for operators to read.


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdminMixin, FeedbackBase):
    list_display = ("request_id", "team", "score", "created_at")
    list_select_related = ("team",)
    search_fields = ("request_id", "team__name")
    exclude = ("correction",)
