"""The saved states of jobs."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet
from training.models.job import TrainingJob


class CheckpointQuerySet(TeamOwnedQuerySet["Checkpoint"]):
    team_path = "job__team"

    def kept(self) -> Self:
        """Those whose files still exist."""
        return self.filter(deleted_at=None)


class Checkpoint(models.Model):
    """A complete saved state in storage from which any worker can go on."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="checkpoints")
    attempt_number = models.PositiveIntegerField()
    step = models.PositiveIntegerField()
    epoch = models.FloatField(default=0)
    storage_key = models.CharField(max_length=255)
    metrics = models.JSONField(default=dict)
    is_best = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    deleted_at = models.DateTimeField(null=True)  # Its files are gone from storage.
    objects = CheckpointQuerySet.as_manager()

    class Meta:
        ordering = ["-step", "-id"]
        indexes = [
            models.Index(name="training_checkpoint_by_job", fields=["job", "-step"]),
            models.Index(
                name="training_checkpoint_kept", fields=["job"], condition=Q(deleted_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.step}"
