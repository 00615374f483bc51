"""Deployments in the Django admin: looked at, and retired in an emergency."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import User
from inference import deploy
from inference.errors import AlreadyRetired
from inference.models import Deployment, DeploymentPlan, Feedback, RequestLog

if TYPE_CHECKING:
    DeploymentBase = admin.ModelAdmin[Deployment]
    PlanBase = admin.ModelAdmin[DeploymentPlan]
    LogBase = admin.ModelAdmin[RequestLog]
    FeedbackBase = admin.ModelAdmin[Feedback]
else:  # Django's own class takes no type parameter at run time.
    DeploymentBase = PlanBase = LogBase = FeedbackBase = admin.ModelAdmin


class LookOnly:
    """Rows are made and changed by the product's own verbs."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Deployment)
class DeploymentAdmin(LookOnly, DeploymentBase):
    list_display = ("name", "team", "model", "created_at", "changed_at", "retired_at")
    list_filter = (("retired_at", admin.EmptyFieldListFilter),)
    list_select_related = ("team", "model")
    search_fields = ("name", "team__name")
    date_hierarchy = "created_at"
    actions = ("retire",)

    @admin.action(description="Retire: stop serving", permissions=["retire"])
    def retire(self, request: HttpRequest, chosen: QuerySet[Deployment]) -> None:
        assert isinstance(request.user, User)
        retired = 0
        for deployment in chosen.select_related("team"):
            try:
                deploy.retire(deployment, request.user)
                retired += 1
            except AlreadyRetired:
                continue
        self.message_user(request, f"{retired} retired.", messages.SUCCESS)

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("inference.change_deployment")


@admin.register(DeploymentPlan)
class DeploymentPlanAdmin(LookOnly, PlanBase):
    list_display = ("name", "team", "job", "dataset_version", "created_at", "outcome")
    list_select_related = ("team", "job", "dataset_version__dataset")
    search_fields = ("name", "team__name")


@admin.register(RequestLog)
class RequestLogAdmin(LookOnly, LogBase):
    list_display = ("request_id", "deployment", "token_prefix", "rows", "latency_ms", "status")
    date_hierarchy = "at"
    list_filter = ("status",)
    list_select_related = ("deployment",)
    search_fields = ("request_id", "deployment__name")
    exclude = ("inputs", "answers")  # Customers' texts are not for operators to read.


@admin.register(Feedback)
class FeedbackAdmin(LookOnly, FeedbackBase):
    list_display = ("request_id", "team", "score", "created_at")
    list_select_related = ("team",)
    search_fields = ("request_id", "team__name")
    exclude = ("correction",)
