"""Webhook endpoints of teams and the deliveries to them."""

import uuid
from datetime import timedelta
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models.notification import Notice
from accounts.models.team import Team, TeamOwnedQuerySet

VISIBILITY_TIMEOUT = timedelta(seconds=60)  # Longer than an attempt can take.


class WebhookEndpointQuerySet(TeamOwnedQuerySet["WebhookEndpoint"]):
    def not_deleted(self) -> Self:
        return self.filter(deleted_at=None)

    def subscribed_to(self, event: str) -> Self:
        """Enabled endpoints that chose this type of event."""
        return self.not_deleted().filter(disabled_at=None, events__contains=[event])


class WebhookEndpoint(models.Model):
    """A URL of the team's that gets signed POSTs. Secrets are encrypted at rest and shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=120, blank=True)
    events = ArrayField(models.CharField(max_length=60))
    sealed_secret = models.TextField(editable=False)
    old_sealed_secret = models.TextField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)  # Both sign until then.
    failing_since = models.DateTimeField(null=True, editable=False)  # First failure after a success
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    objects = WebhookEndpointQuerySet.as_manager()

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None

    def __str__(self) -> str:
        return self.description or self.url


class WebhookDeliveryQuerySet(TeamOwnedQuerySet["WebhookDelivery"]):
    team_path = "endpoint__team"

    def due(self) -> Self:
        return self.filter(next_at__lte=now(), endpoint__disabled_at=None)

    def not_in_flight(self) -> Self:
        """Never attempted, or the last attempt has ended or is so old that its worker died."""
        idle = Q(attempted_at=None) | Q(attempted_at__lt=now() - VISIBILITY_TIMEOUT)
        return self.filter(idle | Q(answered_at__isnull=False))


class WebhookDelivery(models.Model):
    """One event for one endpoint: waiting for `next_at`, delivered, or failed for good."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    notice = models.ForeignKey(Notice, models.SET_NULL, null=True, related_name="+")
    event = models.CharField(max_length=60)
    event_id = models.CharField(max_length=64)  # The webhook-id header: the same at every attempt.
    body = models.TextField()  # The exact text that is signed and sent.
    created_at = models.DateTimeField(default=now, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, default=now)
    delivered_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(null=True)  # The last attempt's beginning
    answered_at = models.DateTimeField(null=True)  # and its end; null while it is under way.
    status_code = models.PositiveSmallIntegerField(null=True)  # Of the last attempt's answer.
    excerpt = models.CharField(max_length=500, blank=True)  # The start of that answer's body.
    error = models.CharField(max_length=300, blank=True)  # Why the last attempt failed.
    milliseconds = models.PositiveIntegerField(null=True)  # How long the last attempt took.
    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                name="accounts_webhook_delivery_once", fields=["endpoint", "event_id"]
            ),
            models.CheckConstraint(
                name="accounts_webhook_delivery_waits_or_ended",
                condition=Q(next_at__isnull=False, delivered_at=None, failed_at=None)
                | Q(next_at=None, delivered_at__isnull=False, failed_at=None)
                | Q(next_at=None, delivered_at=None, failed_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="accounts_webhook_due", fields=["next_at"], condition=Q(next_at__isnull=False)
            ),
            models.Index(name="accounts_webhook_log", fields=["endpoint", "-created_at"]),
            models.Index(name="accounts_webhook_by_age", fields=["created_at"]),
        ]

    @property
    def status(self) -> str:
        """In one word: delivered, failed, pending (never tried) or retrying."""
        if self.delivered_at:
            return "delivered"
        if self.failed_at:
            return "failed"
        return "retrying" if self.attempts else "pending"

    def record_outcome(self, **fields: Any) -> bool:
        """Write the outcome of this attempt, unless another attempt has begun since.

        Not update_claimed: an endpoint that was disabled or deleted meanwhile has ended the row.
        """
        claimed = WebhookDelivery.objects.filter(
            pk=self.pk, attempts=self.attempts, next_at__isnull=False
        )
        return bool(claimed.update(**fields))

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint_id}"
