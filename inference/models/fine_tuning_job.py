"""A fine-tune as the OpenAI-compatible API knows it."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from inference.models.api_file import ApiFile
from projects.models import DatasetVersion
from training.models import TrainingJob


class FineTuningJobQuerySet(TeamOwnedQuerySet["FineTuningJob"]):
    def waiting(self) -> Self:
        """Those whose training job does not exist yet, because their file is being imported."""
        return self.filter(job=None, failed_at=None, cancelled_at=None)


class FineTuningJob(models.Model):
    """What a client asked for, and from its launch on the training job of the same id.

    Fine-tunes launched elsewhere get such a row when the API first lists them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    job = models.OneToOneField(TrainingJob, models.PROTECT, related_name="+", null=True)
    model = models.CharField(max_length=300)  # What it starts from, as the client named it.
    training_file = models.ForeignKey(ApiFile, models.PROTECT, related_name="+")
    validation_file = models.ForeignKey(ApiFile, models.PROTECT, related_name="+", null=True)
    # The version that is trained on: the training file's, or both files as one.
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    suffix = models.CharField(max_length=64, blank=True)
    seed = models.BigIntegerField(default=0)
    method = models.JSONField(default=dict)  # As the client sent it, defaults written out.
    metadata = models.JSONField(null=True)
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    results_file = models.OneToOneField(ApiFile, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    cancelled_at = models.DateTimeField(null=True)  # Before there was a training job.
    failed_at = models.DateTimeField(null=True)  # Likewise.
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    objects = FineTuningJobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(name="inference_ftjob_by_team", fields=["team", "-created_at"]),
            models.Index(
                name="inference_ftjob_waiting",
                fields=["created_at"],
                condition=Q(job=None, failed_at=None, cancelled_at=None),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="inference_ftjob_failed_iff_error",
                condition=Q(failed_at=None, error_code="")
                | (Q(failed_at__isnull=False) & ~Q(error_code="")),
            ),
        ]

    def __str__(self) -> str:
        return self.suffix or self.model
