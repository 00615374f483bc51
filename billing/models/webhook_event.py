"""Messages that Stripe sent, and what became of them."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.timezone import now


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    def due(self) -> Self:
        """Those to process now, oldest first."""
        waiting = self.filter(status=WebhookEvent.Status.WAITING, next_at__lte=Now())
        return waiting.order_by("next_at", "created_at")


class WebhookEvent(models.Model):
    """A message of Stripe's, kept once by its id, and what became of it."""

    class Endpoint(models.TextChoices):
        SNAPSHOT = "snapshot"
        THIN = "thin"

    class Status(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        IGNORED = "ignored", "ignored: nothing of ours follows from this type"
        REFUSED = "refused", "refused: made for another API version"
        FAILED = "failed", "failed: given up after many attempts"

    id = models.CharField(max_length=255, primary_key=True)
    endpoint = models.CharField(max_length=10, choices=Endpoint.choices)
    type = models.CharField(max_length=100)
    api_version = models.CharField(max_length=40, blank=True)  # Of the endpoint; "" when swept.
    created_at = models.DateTimeField()  # At Stripe.
    payload = models.JSONField()
    received_at = models.DateTimeField(default=now, editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=now)  # Also the claim: a claimed row is due later.
    processed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_webhook_processed_iff_done",
                condition=Q(status__in=["done", "ignored"], processed_at__isnull=False)
                | (~Q(status__in=["done", "ignored"]) & Q(processed_at=None)),
            )
        ]
        indexes = [
            models.Index(
                name="billing_webhook_waiting", fields=["next_at"], condition=Q(status="waiting")
            ),
            models.Index(name="billing_webhook_by_time", fields=["-received_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def object_id(self) -> str:
        """The id of the object that a snapshot event is about."""
        return str(self.payload.get("data", {}).get("object", {}).get("id") or "")
