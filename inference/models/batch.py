"""Batches: files of requests that are answered in the background."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import ApiToken, Team, TeamOwnedQuerySet, User
from inference.models.api_file import ApiFile


class BatchStatus(models.TextChoices):
    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN_STATUSES = [
    BatchStatus.VALIDATING,
    BatchStatus.IN_PROGRESS,
    BatchStatus.FINALIZING,
    BatchStatus.CANCELLING,
]


class BatchQuerySet(TeamOwnedQuerySet["Batch"]):
    def open(self) -> Self:
        return self.filter(status__in=OPEN_STATUSES)

    def due(self) -> Self:
        """Open ones that no worker holds, the oldest first."""
        return self.open().filter(next_at__lte=now()).order_by("next_at")


class Batch(models.Model):
    """One file of requests to one endpoint. Its row is the queue: workers claim it for a while."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    # Whose rights, limits and place on the bill its answers have; null: the team's own.
    token = models.ForeignKey(ApiToken, models.SET_NULL, related_name="+", null=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    endpoint = models.CharField(max_length=40)
    completion_window = models.CharField(max_length=10)
    input_file = models.ForeignKey(ApiFile, models.PROTECT, related_name="+")
    output_file = models.ForeignKey(ApiFile, models.PROTECT, related_name="+", null=True)
    error_file = models.ForeignKey(ApiFile, models.PROTECT, related_name="+", null=True)
    metadata = models.JSONField(null=True)
    status = models.CharField(
        max_length=12, choices=BatchStatus.choices, default=BatchStatus.VALIDATING
    )
    problems = models.JSONField(default=list)  # Of the file: [{code, line, message, param}]
    total = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)  # Written when the batch ends, as the next.
    failed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=now, editable=False)
    expires_at = models.DateTimeField()
    in_progress_at = models.DateTimeField(null=True)
    finalizing_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    expired_at = models.DateTimeField(null=True)
    cancelling_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(default=now)  # When a worker may claim it.
    attempts = models.PositiveIntegerField(default=0)
    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(name="inference_batch_by_team", fields=["team", "-created_at"]),
            models.Index(
                name="inference_batch_due",
                fields=["next_at"],
                condition=Q(status__in=OPEN_STATUSES),
            ),
        ]

    def __str__(self) -> str:
        return f"batch of {self.input_file_id}"


class BatchAnswer(models.Model):
    """The answer to one line, so that a worker that takes over asks nothing twice. Deleted when
    the batch's files are written."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="answers")
    line = models.PositiveIntegerField()
    is_error = models.BooleanField()
    content = models.TextField()  # One line of the output or error file.

    class Meta:
        constraints = [
            models.UniqueConstraint(name="inference_batch_line_once", fields=["batch", "line"])
        ]

    def __str__(self) -> str:
        return f"line {self.line}"
