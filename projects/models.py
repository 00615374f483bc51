"""What you own: projects, datasets and their immutable versions."""

import uuid
from typing import Any, Self

from django.db import models
from django.db.models import Max, Q
from django.utils.timezone import now

from accounts.models import Team, User
from accounts.visibility import TeamOwnedQuerySet
from projects.errors import ImportMovedOn


class ProjectQuerySet(TeamOwnedQuerySet["Project"]):
    def active(self) -> Self:
        return self.filter(archived_at=None)


class Project(models.Model):
    """A product area of one team: its datasets, jobs and models."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(default=now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.name


class DatasetQuerySet(TeamOwnedQuerySet["Dataset"]):
    team_path = "project__team"


class Dataset(models.Model):
    """A named table that grows by versions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=255)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> "DatasetVersion | None":
        return self.versions.order_by("-number").first()

    def next_number(self) -> int:
        return (self.versions.aggregate(last=Max("number"))["last"] or 0) + 1


class ImportStatus(models.TextChoices):
    IMPORTING = "importing"
    READY = "ready"
    FAILED = "failed"


# The whole life of an import. A status that is not a key here is final.
NEXT = {ImportStatus.IMPORTING: {ImportStatus.READY, ImportStatus.FAILED}}


class DatasetVersionQuerySet(TeamOwnedQuerySet["DatasetVersion"]):
    team_path = "dataset__project__team"

    def ready(self) -> Self:
        return self.filter(status=ImportStatus.READY)


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
    overrides = models.JSONField(default=dict)  # Dialect choices the customer made by hand.
    parquet_key = models.CharField(max_length=255, blank=True)
    rejects_key = models.CharField(max_length=255, blank=True)  # CSV of the rows refused.
    content_sha256 = models.CharField(max_length=64, blank=True)  # Of the Parquet file.
    rows = models.BigIntegerField(null=True)
    rejected_rows = models.BigIntegerField(null=True)
    columns = models.JSONField(default=list)  # [{"name", "type", "original_name"}]
    dialect = models.JSONField(default=dict)  # What was detected: encoding, delimiter, header …
    profile = models.JSONField(default=dict)  # See projects/profiling.py.
    issues = models.JSONField(default=list)  # [{"code", "sentence", "line", "column"}]
    failure_code = models.CharField(max_length=40, null=True, blank=True)
    failure_sentence = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    claimed_until = models.DateTimeField(null=True)  # A worker is importing it until then.
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

    def succeed(self, **facts: Any) -> None:
        """Publish the imported table. Raises ImportMovedOn when another worker finished first."""
        self._move(ImportStatus.READY, finished_at=now(), **facts)

    def fail(self, code: str, sentence: str, **facts: Any) -> None:
        """End the import with a reason for people."""
        self._move(
            ImportStatus.FAILED,
            finished_at=now(),
            failure_code=code,
            failure_sentence=sentence,
            **facts,
        )

    def _move(self, to: ImportStatus, **facts: Any) -> None:
        allowed_from = [status for status, targets in NEXT.items() if to in targets]
        updated = DatasetVersion.objects.filter(pk=self.pk, status__in=allowed_from).update(
            status=to, claimed_until=None, **facts
        )
        self.refresh_from_db()
        if not updated:
            raise ImportMovedOn
