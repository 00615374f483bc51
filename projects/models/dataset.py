"""Datasets and their immutable versions."""

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet, User
from projects.errors import StaleImportState
from projects.models.project import Project
from web.models.described import Described


class DatasetQuerySet(TeamOwnedQuerySet["Dataset"]):
    team_path = "project__team"

    def visible_to(self, viewer: object, permission: str = "read") -> Self:
        return super().visible_to(viewer, permission).filter(purged_at=None)

    def purged_of(self, viewer: object) -> Self:
        """What the viewer would see, had it not been deleted for good."""
        return super().visible_to(viewer).filter(purged_at__isnull=False)


class Dataset(Described):
    """A named table that grows by versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=255)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)  # Its data is deleted for good.
    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def get_absolute_url(self) -> str:
        return reverse("projects:dataset", args=[self.pk])

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> "DatasetVersion | None":
        return self.versions.order_by("-number").first()


class ImportStatus(models.TextChoices):
    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"


# The whole life of an import. A status that is not a key here is final.
ALLOWED_TRANSITIONS = {ImportStatus.IMPORTING: {ImportStatus.READY, ImportStatus.FAILED}}


class DatasetVersionQuerySet(TeamOwnedQuerySet["DatasetVersion"]):
    team_path = "dataset__project__team"

    def visible_to(self, viewer: object, permission: str = "read") -> Self:
        return super().visible_to(viewer, permission).filter(dataset__purged_at=None)

    def ready(self) -> Self:
        return self.filter(status=ImportStatus.READY)

    def stored(self) -> "list[tuple[DatasetVersionQuerySet, str]]":
        """What these versions keep in storage, as rows and their field of bytes; versions read
        from the same upload share it."""
        first_of_upload = self.order_by("upload_key", "pk").distinct("upload_key")
        uploads = DatasetVersion.objects.filter(pk__in=first_of_upload.values("pk"))
        return [(self, "table_bytes"), (uploads, "upload_bytes")]


class DatasetVersion(models.Model):
    """One upload, imported to typed Parquet once and never changed afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=10, choices=ImportStatus.choices, default=ImportStatus.IMPORTING
    )
    filename = models.CharField(max_length=255)  # As the customer named it; shown, never a path.
    upload_key = models.CharField(max_length=255)  # The bytes as uploaded, in storage.
    upload_bytes = models.BigIntegerField()
    upload_sha256 = models.CharField(max_length=64)
    overrides = models.JSONField(default=dict)  # ReadingOptions that the customer chose.
    parquet_key = models.CharField(max_length=255, blank=True)
    rejects_key = models.CharField(max_length=255, blank=True)  # CSV of the rows refused.
    content_sha256 = models.CharField(max_length=64, blank=True)  # Of the Parquet file.
    # Of the Parquet file and the rows refused.
    table_bytes = models.BigIntegerField(default=0, db_default=0)
    rows = models.BigIntegerField(null=True)
    rejected_rows = models.BigIntegerField(null=True)
    columns = models.JSONField(default=list)  # list[ColumnInfo]
    dialect = models.JSONField(default=dict)  # A Dialect: what was detected.
    profile = models.JSONField(default=dict)  # A TableProfile.
    issues = models.JSONField(default=list)  # list[Issue]
    failure_code = models.CharField(max_length=40, null=True, blank=True)
    failure_sentence = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    claimed_until = models.DateTimeField(null=True)  # A worker's claim, and its fence.
    # How often a worker or its child process was ended before the file was read.
    interruptions = models.PositiveSmallIntegerField(default=0, db_default=0)
    finished_at = models.DateTimeField(null=True)
    objects = DatasetVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                name="projects_version_number_once", fields=["dataset", "number"]
            ),
            models.CheckConstraint(
                name="projects_version_finished_iff_final",
                condition=Q(status=ImportStatus.IMPORTING, finished_at=None)
                | (~Q(status=ImportStatus.IMPORTING) & Q(finished_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="projects_version_failed_iff_code",
                condition=(Q(status=ImportStatus.FAILED) & Q(failure_code__isnull=False))
                | (~Q(status=ImportStatus.FAILED) & Q(failure_code=None)),
            ),
            models.CheckConstraint(
                name="projects_version_ready_has_rows",
                condition=~Q(status=ImportStatus.READY)
                | (Q(rows__isnull=False) & ~Q(parquet_key="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    def succeed(self, claimed_until: datetime, **fields: object) -> None:
        """Publish the imported table. Raises StaleImportState when the claim was lost."""
        self._transition(ImportStatus.READY, claimed_until, **fields)

    def fail(self, claimed_until: datetime, code: str, sentence: str) -> None:
        """End the import with a reason for people. Raises StaleImportState likewise."""
        self._transition(
            ImportStatus.FAILED, claimed_until, failure_code=code, failure_sentence=sentence
        )

    def _transition(self, to: ImportStatus, claimed_until: datetime, **fields: object) -> None:
        """The one way to end an import: only for the holder of the claim, and only once."""
        allowed_from = [status for status, targets in ALLOWED_TRANSITIONS.items() if to in targets]
        updated = DatasetVersion.objects.filter(
            pk=self.pk, status__in=allowed_from, claimed_until=claimed_until
        ).update(status=to, claimed_until=None, finished_at=now(), **fields)
        self.refresh_from_db()
        if not updated:
            raise StaleImportState
