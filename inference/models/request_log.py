"""The sampled log of answered requests."""

from django.db import models
from django.utils.timezone import now

from accounts.models import TeamOwnedQuerySet
from inference.models.deployment import Deployment

MAX_LOGGED_CHARACTERS = 500  # Of each text and answer: what is longer is cut off there.


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
    # Of a request of one row, whole: a text, cells by their columns, or a chat's messages. Null
    # where it is too long to be kept.
    asked = models.JSONField(null=True)
    model_key = models.UUIDField(null=True)  # The TrainedModel that answered.
    shadow_answers = models.JSONField(null=True)  # What the shadow answered to the same.
    shadow_latency_ms = models.FloatField(null=True)
    objects = RequestLogQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(name="inference_log_by_deployment", fields=["deployment", "-at"])]

    def __str__(self) -> str:
        return self.request_id

    @property
    def picture_url(self) -> str:
        """The one picture that a model of pictures was asked about, to show it; else empty.

        A browser tells the format by the content, whatever type the address names.
        """
        if not isinstance(self.asked, str):
            return ""
        return f"data:image/png;base64,{self.asked.partition(',')[2] or self.asked}"
