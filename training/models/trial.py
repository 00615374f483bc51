"""The trials of a search: what each tried, and how it did on validation rows."""

from django.db import models
from django.utils.timezone import now

from training.models.job import TrainingJob


class TrialState(models.TextChoices):
    RUNNING = "running"
    FINISHED = "finished"
    PRUNED = "pruned"  # Did worse than most after some epoch.
    STOPPED = "stopped"  # The budget was spent.
    FAILED = "failed"


class Trial(models.Model):
    """One training of a job's search. A later attempt goes on after those that are over."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="trials")
    number = models.PositiveIntegerField()  # From 0, which is the settings as given.
    attempt_number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=TrialState.choices)
    parameters = models.JSONField()
    score_name = models.CharField(max_length=60, blank=True)
    scores = models.JSONField(default=list)  # After each epoch.
    score = models.FloatField(null=True)
    seconds = models.FloatField(default=0)
    is_best = models.BooleanField(default=False)
    started_at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="training_trial_once", fields=["job", "number"]),
            models.UniqueConstraint(
                name="training_trial_one_best",
                fields=["job"],
                condition=models.Q(is_best=True),
            ),
        ]

    def __str__(self) -> str:
        return f"trial {self.number} of {self.job}"

    @property
    def pruned_at(self) -> int | None:
        """The epoch after which it was cut short."""
        return len(self.scores) if self.state == TrialState.PRUNED else None
