"""What you ask: deployments, plans for them, a sampled log of requests, feedback on answers."""

import uuid
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, User
from accounts.visibility import TeamOwnedQuerySet
from projects.models import DatasetVersion, Project
from training.models import TrainedModel, TrainingJob


class DeploymentQuerySet(TeamOwnedQuerySet["Deployment"]):
    def serving(self) -> Self:
        return self.filter(retired_at=None)


class Deployment(models.Model):
    """A model being served under a name that is unique within its team while it serves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    project = models.ForeignKey(Project, models.PROTECT, related_name="+")
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    name = models.SlugField(max_length=80)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    created_at = models.DateTimeField(default=now)
    changed_at = models.DateTimeField(default=now)  # When the name last moved to another model.
    retired_at = models.DateTimeField(null=True, blank=True)
    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                name="inference_deployment_name_once_per_team",
                fields=["team", "name"],
                condition=Q(retired_at=None),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> str:
        """How billing names this deployment."""
        return f"deployment:{self.pk}"


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
        metric, wanted = self.metric.replace("_", " "), []
        if self.threshold is not None:
            wanted.append(f"its {metric} reaches {self.threshold:g}")
        if self.slice_threshold is not None:
            wanted.append(
                f"no part of the test rows falls short of {metric} {self.slice_threshold:g}"
            )
        if self.not_worse:
            wanted.append("it is not worse than the deployed model")
        return f"A model takes the name only if {', and '.join(wanted)}."


class PromotionVerdictQuerySet(TeamOwnedQuerySet["PromotionVerdict"]):
    team_path = "deployment__team"


class PromotionVerdict(models.Model):
    """One judgement of a model by a deployment's rule, as it then was."""

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="verdicts")
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    passed = models.BooleanField()
    checks = models.JSONField()  # [{"passed", "sentence"}]
    rule = models.TextField()  # In words.
    created_at = models.DateTimeField(default=now)
    objects = PromotionVerdictQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.model} for {self.deployment}: {'passed' if self.passed else 'held back'}"

    @property
    def why(self) -> str:
        """What it failed, in sentences."""
        return " ".join(check["sentence"] for check in self.checks if not check["passed"])


class DeploymentPlanQuerySet(TeamOwnedQuerySet["DeploymentPlan"]):
    def open(self) -> Self:
        return self.filter(settled_at=None)


class DeploymentPlan(models.Model):
    """A wish carried out later: deploy the model of this job, once there is one, under this name.

    A plan made before its job exists names a dataset version instead; its fine-tune is launched
    when the import is ready. Carried by `inference.planning`, never by the lower apps.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    dataset_version = models.ForeignKey(
        DatasetVersion, models.PROTECT, related_name="+", null=True, blank=True
    )
    job = models.OneToOneField(TrainingJob, models.PROTECT, related_name="+", null=True, blank=True)
    name = models.SlugField(max_length=80)
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=now)
    deployment = models.ForeignKey(
        Deployment, models.PROTECT, related_name="+", null=True, blank=True
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=255, blank=True)  # A sentence, once settled.
    objects = DeploymentPlanQuerySet.as_manager()

    class Meta:
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


class RequestLogQuerySet(TeamOwnedQuerySet["RequestLog"]):
    team_path = "deployment__team"


class RequestLog(models.Model):
    """One answered request, sampled."""

    request_id = models.CharField(primary_key=True, max_length=60)
    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="requests")
    token_prefix = models.CharField(max_length=16, blank=True)
    rows = models.PositiveIntegerField()
    tokens = models.PositiveIntegerField()
    latency_ms = models.FloatField()
    status = models.PositiveSmallIntegerField()
    at = models.DateTimeField(default=now)
    inputs = models.JSONField(default=list)
    answers = models.JSONField(default=list)
    objects = RequestLogQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(name="inference_log_by_deployment", fields=["deployment", "-at"])]

    def __str__(self) -> str:
        return self.request_id


class FeedbackQuerySet(TeamOwnedQuerySet["Feedback"]):
    pass


class Feedback(models.Model):
    """What a caller thought of an answer; corrections can become the next dataset."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    request_id = models.CharField(max_length=60)
    score = models.SmallIntegerField(null=True)  # -1 or 1.
    correction = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)
    objects = FeedbackQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="inference_feedback_once_per_request", fields=["team", "request_id"]
            )
        ]

    def __str__(self) -> str:
        return self.request_id
