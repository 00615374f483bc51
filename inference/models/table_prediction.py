"""Tables whose every row an endpoint answers, in the background."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from inference.models.batch import Batch
from inference.models.deployment import Deployment
from projects.models import DatasetVersion


class TablePrediction(models.Model):
    """A dataset version to be answered by an endpoint, row by row.

    Due while `next_at` is set: its table may still be importing. Then it has a batch, which asks
    and keeps the answers, or `problem` says why there is none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    deployment = models.ForeignKey(Deployment, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(DatasetVersion, models.PROTECT, related_name="+")
    batch = models.OneToOneField(Batch, models.PROTECT, related_name="+", null=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now, editable=False)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, default=now)
    problem = models.CharField(max_length=500, blank=True)
    objects = TeamOwnedQuerySet["TablePrediction"].as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(name="inference_table_of_endpoint", fields=["deployment", "-created_at"]),
            models.Index(
                name="inference_table_due",
                fields=["next_at"],
                condition=Q(next_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_version_id} by {self.deployment_id}"
