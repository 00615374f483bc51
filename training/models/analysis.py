"""Questions asked about a finished model: its treatment of groups, the reasons of one answer."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet, User
from training.models.trained_model import TrainedModel


class AnalysisQuerySet(TeamOwnedQuerySet["Analysis"]):
    def open(self) -> Self:
        return self.filter(finished_at=None)


class Analysis(models.Model):
    """A question to a worker and its answer: exactly one of `result` and `failure` once done."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="analyses")
    kind = models.CharField(max_length=20)  # Of engine.analysis.on_demand.
    question = models.JSONField()  # Of engine.analysis.on_demand; what is not asked is absent.
    result = models.JSONField(null=True)
    failure = models.TextField(blank=True)  # A sentence for people.
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    objects = AnalysisQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="training_analysis_finished_with_one_outcome",
                condition=Q(finished_at=None, result=None, failure="")
                | Q(finished_at__isnull=False, result__isnull=False, failure="")
                | (Q(finished_at__isnull=False, result=None) & ~Q(failure="")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.model}"
