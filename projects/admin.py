"""Projects and datasets for operators: to look at, and to send a stuck import again."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from projects.importing import imports
from projects.models import Dataset, DatasetVersion, ImportStatus, Project
from web.admin import NeverDeletedMixin, ReadOnlyAdminMixin


@admin.register(Project)
class ProjectAdmin(NeverDeletedMixin, admin.ModelAdmin[Project]):
    list_display = ["name", "team", "created_at", "archived_at"]
    search_fields = ["name", "team__name", "team__slug"]
    readonly_fields = ["id", "team", "created_at"]
    list_select_related = ["team"]


@admin.register(Dataset)
class DatasetAdmin(NeverDeletedMixin, admin.ModelAdmin[Dataset]):
    list_display = ["name", "project", "created_by", "created_at", "archived_at"]
    search_fields = ["name", "project__name", "project__team__name"]
    readonly_fields = ["id", "project", "created_by", "created_at"]
    list_select_related = ["project", "created_by"]


@admin.register(DatasetVersion)
class DatasetVersionAdmin(ReadOnlyAdminMixin, admin.ModelAdmin[DatasetVersion]):
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
    actions = ["enqueue_imports"]

    @admin.action(description="Send waiting imports to a worker again", permissions=["view"])
    def enqueue_imports(self, request: HttpRequest, chosen: "QuerySet[DatasetVersion]") -> None:
        waiting = chosen.filter(status=ImportStatus.IMPORTING).count()
        imports.resume()
        self.message_user(
            request,
            f"{'1 import waits' if waiting == 1 else f'{waiting} imports wait'}"
            "; the workers were told.",
        )
