"""What a running job measures."""

from django.db import models
from django.utils.timezone import now

from training.models.job import TrainingJob


class MetricPoint(models.Model):
    """One measured value at one step; of two attempts at a step the newest fence is shown."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="metrics")
    attempt_number = models.PositiveIntegerField()
    name = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    epoch = models.FloatField(default=0)
    value = models.FloatField()
    at = models.DateTimeField(default=now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="training_metric_once", fields=["job", "attempt_number", "name", "step"]
            )
        ]
        indexes = [models.Index(name="training_metric_by_name", fields=["job", "name", "step"])]

    def __str__(self) -> str:
        return f"{self.name}@{self.step}={self.value}"
