"""Projects and datasets for operators: to look at, and to start a stuck import again."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from projects import tasks
from projects.models import Dataset, DatasetVersion, ImportStatus, Project


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin[Project]):
    list_display = ["name", "team", "created_at", "archived_at"]
    search_fields = ["name", "team__name", "team__slug"]
    readonly_fields = ["id", "team", "created_at"]
    list_select_related = ["team"]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Dataset)
class DatasetAdmin(admin.ModelAdmin[Dataset]):
    list_display = ["name", "project", "created_by", "created_at", "archived_at"]
    search_fields = ["name", "project__name", "project__team__name"]
    readonly_fields = ["id", "project", "created_by", "created_at"]
    list_select_related = ["project", "created_by"]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(DatasetVersion)
class DatasetVersionAdmin(admin.ModelAdmin[DatasetVersion]):
    list_display = [
        "dataset",
        "number",
        "status",
        "rows",
        "rejected_rows",
        "failure_code",
        "created_at",
    ]
    list_filter = ["status", "failure_code"]
    search_fields = ["dataset__name", "filename", "upload_sha256"]
    list_select_related = ["dataset"]
    actions = ["nudge"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.action(description="Send waiting imports to a worker again", permissions=["view"])
    def nudge(self, request: HttpRequest, chosen: "QuerySet[DatasetVersion]") -> None:
        waiting = chosen.filter(status=ImportStatus.IMPORTING)
        for version_id in waiting.values_list("pk", flat=True):
            tasks.import_version.delay(str(version_id))
        self.message_user(request, f"{waiting.count()} imports were sent to a worker.")
