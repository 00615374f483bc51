"""What a job makes: a model and the report on it."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.timezone import now

from accounts.models import Team
from accounts.visibility import TeamOwnedQuerySet
from projects.models import DatasetVersion, Project


class TrainedModelQuerySet(TeamOwnedQuerySet["TrainedModel"]):
    pass


class TrainedModel(models.Model):
    """The customer's model: an artifact that was tested and can be served."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    name = models.CharField(max_length=120)
    task = models.CharField(max_length=40)
    base_model = models.CharField(max_length=120)
    artifact_key = models.CharField(max_length=255)  # Folder in storage, complete with manifest.
    artifact_bytes = models.BigIntegerField(default=0)
    labels = ArrayField(models.TextField(), default=list)
    metrics = models.JSONField(default=dict)  # Headline numbers on the untouched test split.
    manifest = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=now)
    archived_at = models.DateTimeField(null=True)
    objects = TrainedModelQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Evaluation(models.Model):
    """The whole report of one model on one split."""

    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="evaluations")
    split = models.CharField(max_length=20, default="test")
    report = models.JSONField()
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.model} on {self.split}"
