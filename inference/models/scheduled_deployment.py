"""A deployment that waits for its training job, or for the import before that."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from inference.models.deployment import Deployment
from projects.models import DatasetVersion, ImportStatus
from training.models import TrainingJob


class ScheduledDeploymentQuerySet(TeamOwnedQuerySet["ScheduledDeployment"]):
    def open(self) -> Self:
        return self.filter(settled_at=None)

    def due(self) -> Self:
        """Open ones whose job or import has finished."""
        imported = Q(
            job=None, dataset_version__status__in=[ImportStatus.READY, ImportStatus.FAILED]
        )
        return self.open().filter(imported | Q(job__finished_at__isnull=False))


class ScheduledDeployment(models.Model):
    """Deploys the model of a job under a name as soon as the job succeeds.

    One made before its job exists names a dataset version instead; the job is launched when the
    import is ready. `inference.scheduled_deployments` advances them, never the lower apps.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(
        DatasetVersion, models.PROTECT, related_name="+", null=True, blank=True
    )
    job = models.OneToOneField(TrainingJob, models.PROTECT, related_name="+", null=True, blank=True)
    name = models.CharField(max_length=300)  # A slug, or a fine-tuned model's name: "ft:…".
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now)
    deployment = models.ForeignKey(
        Deployment, models.PROTECT, related_name="+", null=True, blank=True
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=255, blank=True)  # A sentence, once settled.
    objects = ScheduledDeploymentQuerySet.as_manager()

    class Meta:
        db_table = "inference_deploymentplan"  # The name it was created under.
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="inference_plan_waits_for_something",
                condition=Q(dataset_version__isnull=False) | Q(job__isnull=False),
            ),
            models.CheckConstraint(
                name="inference_plan_outcome_iff_settled",
                condition=Q(settled_at=None, outcome="")
                | (Q(settled_at__isnull=False) & ~Q(outcome="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, planned"
