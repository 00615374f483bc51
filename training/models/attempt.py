"""One worker's try at a job."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet
from billing.models import MeteredRun
from training.models.job import TrainingJob


class AttemptQuerySet(TeamOwnedQuerySet["Attempt"]):
    team_path = "job__team"

    def live(self) -> Self:
        return self.filter(ended_at=None)


class Attempt(models.Model):
    """One worker's try at a job. Its number is the fence: an older attempt can change nothing."""

    class EndReason(models.TextChoices):
        """Beside these, the code of the failure that ended the job."""

        FINISHED = "finished"
        CANCELLED = "cancelled"
        PAUSED = "paused"
        HELD = "on hold"
        SPEND_CAP = "spend cap"
        ANNOUNCED_COST = "announced cost"
        FAILED_BY_OPERATOR = "failed by an operator"
        LOST = "worker lost"
        RELEASED = "handed back"  # Its worker had to leave, or an operator took it away.
        OUT_OF_MEMORY = "out of memory"

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=120)
    run = models.OneToOneField(MeteredRun, models.PROTECT, related_name="+")
    started_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=60, blank=True)
    publishing_at = models.DateTimeField(null=True)  # Its artifact is whole and being stored.
    resumed_from_step = models.PositiveIntegerField(null=True)
    halved_batches = models.PositiveSmallIntegerField(default=0)  # Times memory ran out before.
    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="training_attempt_fence", fields=["job", "number"]),
            models.UniqueConstraint(
                name="training_attempt_one_live_per_job",
                fields=["job"],
                condition=Q(ended_at=None),
            ),
        ]
        indexes = [
            models.Index(
                name="training_attempt_live_worker", fields=["worker"], condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.job} attempt {self.number}"
