"""The promotion rule of a deployment, and the recorded outcomes of evaluating it."""

from typing import TypedDict

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet
from inference.models.deployment import Deployment
from training.models import TrainedModel


class Check(TypedDict):
    """One condition of a rule, as evaluated."""

    passed: bool
    sentence: str


class PromotionRuleQuerySet(TeamOwnedQuerySet["PromotionRule"]):
    team_path = "deployment__team"


class PromotionRule(models.Model):
    """What a model must show before a deployment's name moves to it; see inference.promotion."""

    deployment = models.OneToOneField(
        Deployment, models.CASCADE, related_name="promotion_rule", primary_key=True
    )
    metric = models.CharField(max_length=40)
    threshold = models.FloatField(null=True, blank=True)
    slice_threshold = models.FloatField(null=True, blank=True)
    not_worse = models.BooleanField(default=True)
    changed_at = models.DateTimeField(default=now)
    objects = PromotionRuleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="inference_promotion_rule_asks_for_something",
                condition=Q(threshold__isnull=False)
                | Q(slice_threshold__isnull=False)
                | Q(not_worse=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric} of {self.deployment_id}"


class PromotionVerdictQuerySet(TeamOwnedQuerySet["PromotionVerdict"]):
    team_path = "deployment__team"


class PromotionVerdict(models.Model):
    """The outcome of evaluating a deployment's rule, as it then was, for one model."""

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="verdicts")
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    passed = models.BooleanField()
    checks = models.JSONField()  # A list of Check.
    rule = models.TextField()  # In words.
    created_at = models.DateTimeField(default=now)
    objects = PromotionVerdictQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.model} for {self.deployment}: {'passed' if self.passed else 'held back'}"

    @property
    def failure_summary(self) -> str:
        """The sentences of the checks that failed."""
        return " ".join(check["sentence"] for check in self.checks if not check["passed"])
