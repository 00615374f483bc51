"""What a job makes: a model and the report on it."""

import uuid
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from engine import catalog
from projects.models import DatasetVersion, Project
from web.models.described import Described


class TrainedModelQuerySet(TeamOwnedQuerySet["TrainedModel"]):
    def visible_to(self, viewer: object, permission: str = "read") -> Self:
        return super().visible_to(viewer, permission).filter(purged_at=None)

    def purged_of(self, viewer: object) -> Self:
        """What the viewer would see, had it not been deleted for good."""
        return super().visible_to(viewer).filter(purged_at__isnull=False)

    def not_in_trash(self) -> Self:
        """What lists show: a model goes to the trash by itself or with its project."""
        return self.filter(archived_at=None, project__archived_at=None)


class TrainedModel(Described):
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
    purged_at = models.DateTimeField(null=True)  # Its files and report are deleted for good.
    objects = TrainedModelQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def get_absolute_url(self) -> str:
        return reverse("training:model", args=[self.pk])

    def __str__(self) -> str:
        return self.name

    @property
    def base_model_name(self) -> str:
        return catalog.name_of(self.base_model)


class Evaluation(models.Model):
    """The whole report of one model on one split."""

    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="evaluations")
    split = models.CharField(max_length=20, default="test")
    report = models.JSONField()
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.model} on {self.split}"
