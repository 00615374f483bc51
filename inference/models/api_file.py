"""Files of the OpenAI-compatible API, and uploads that come in parts."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from projects.models import DatasetVersion


class Purpose(models.TextChoices):
    FINE_TUNE = "fine-tune"
    FINE_TUNE_RESULTS = "fine-tune-results"
    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"


class ApiFileQuerySet(TeamOwnedQuerySet["ApiFile"]):
    def current(self) -> Self:
        """Neither deleted nor expired, nor purged with its dataset."""
        lasts = Q(expires_at=None) | Q(expires_at__gt=now())
        has_data = Q(dataset_version=None) | Q(dataset_version__dataset__purged_at=None)
        return self.filter(lasts, has_data, deleted_at=None)


class ApiFile(models.Model):
    """A file that a client uploaded, or that a job or batch made.

    A training file is a dataset version as well, with the same id and the same bytes in storage.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    dataset_version = models.ForeignKey(
        DatasetVersion, models.PROTECT, related_name="+", null=True, blank=True
    )
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    filename = models.CharField(max_length=255)
    bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255)
    # What keeps the lines from being learnt from, by training format; of a training file only.
    line_problems = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    objects = ApiFileQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(name="inference_file_by_team", fields=["team", "-created_at"])]

    def __str__(self) -> str:
        return self.filename


class FileUpload(models.Model):
    """A file that arrives in parts, to be completed within the hour."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    filename = models.CharField(max_length=255)
    bytes = models.BigIntegerField()  # As announced; the parts must add up to it.
    mime_type = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)
    file = models.OneToOneField(ApiFile, models.PROTECT, related_name="+", null=True, blank=True)
    file_lifetime_seconds = models.PositiveIntegerField(null=True, blank=True)
    objects = TeamOwnedQuerySet["FileUpload"].as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.filename

    @property
    def status(self) -> str:
        if self.file_id is not None:
            return "completed"
        if self.cancelled_at is not None:
            return "cancelled"
        return "expired" if self.expires_at <= now() else "pending"


class FileUploadPart(models.Model):
    """Some of an upload's bytes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    upload = models.ForeignKey(FileUpload, models.CASCADE, related_name="parts")
    bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=now, editable=False)

    def __str__(self) -> str:
        return f"{self.bytes} bytes of {self.upload_id}"
