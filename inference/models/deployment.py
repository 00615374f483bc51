"""A trained model served under a name."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from projects.models import Project
from training.models import Checkpoint, TrainedModel


class DeploymentQuerySet(TeamOwnedQuerySet["Deployment"]):
    def serving(self) -> Self:
        return self.filter(retired_at=None)


class Deployment(models.Model):
    """A model being served under a name that is unique within its team while it serves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    checkpoint = models.ForeignKey(  # A saved state of the model's training that answers instead.
        Checkpoint, models.PROTECT, null=True, related_name="+"
    )
    # What the name moved away from last, for a rollback.
    previous_model = models.ForeignKey(TrainedModel, models.PROTECT, null=True, related_name="+")
    # Answers this share of requests, to be watched before it gets all of them.
    canary_model = models.ForeignKey(TrainedModel, models.PROTECT, null=True, related_name="+")
    canary_percent = models.PositiveSmallIntegerField(null=True)
    # Is asked the same and compared; its answers reach nobody and cost nothing.
    shadow_model = models.ForeignKey(TrainedModel, models.PROTECT, null=True, related_name="+")
    name = models.CharField(max_length=300)  # A slug, or a fine-tuned model's name: "ft:…".
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)  # When the name last moved to another model.
    # The log keeps one in so many requests, each for so many days; nothing where it is 0.
    log_one_in = models.PositiveSmallIntegerField(default=1, db_default=1)
    log_days = models.PositiveSmallIntegerField(default=30, db_default=30)
    retired_at = models.DateTimeField(null=True, blank=True)
    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="inference_deployment_name_once_per_team",
                fields=["team", "name"],
                condition=Q(retired_at=None),
            ),
            models.CheckConstraint(
                name="inference_deployment_canary_has_a_share",
                condition=Q(canary_model=None, canary_percent=None)
                | Q(canary_model__isnull=False, canary_percent__range=(1, 99)),
            ),
        ]

    def get_absolute_url(self) -> str:
        return reverse("inference:deployment", args=[self.pk])

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """How billing names this deployment."""
        return f"deployment:{self.pk}"
