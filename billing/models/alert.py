"""Alerts for the operator of this installation."""

from django.db import models
from django.utils.timezone import now


class OperatorAlert(models.Model):
    """Trouble with money that the operator must look at."""

    key = models.CharField(max_length=200, unique=True)  # The same trouble has one row.
    sentence = models.TextField()
    raised_at = models.DateTimeField(default=now, editable=False)
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField(default=now)
    settled_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.sentence[:80]
