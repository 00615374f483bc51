"""Metered quantities: tokens and requests, each fact once."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet


class UsageEvent(models.Model):
    """A counted quantity such as tokens answered. The same source and key is the same fact."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)  # The SKU, for example "inference-tokens".
    source = models.CharField(max_length=80)  # For example "deployment:<id>".
    event_key = models.CharField(max_length=120)
    token_prefix = models.CharField(max_length=16, blank=True)  # Which API token asked.
    units = models.BigIntegerField()
    requests = models.BigIntegerField(default=0)
    amount_micro = models.BigIntegerField(default=0)
    occurred_at = models.DateTimeField(default=now)
    objects = TeamOwnedQuerySet["UsageEvent"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="billing_event_counted_once", fields=["team", "source", "event_key"]
            ),
            models.CheckConstraint(
                name="billing_event_amounts",
                condition=Q(units__gte=0, requests__gte=0, amount_micro__gte=0),
            ),
        ]
        indexes = [
            models.Index(name="billing_event_by_team", fields=["team", "-occurred_at"]),
            models.Index(name="billing_event_in_order", fields=["team", "id"]),
        ]

    def __str__(self) -> str:
        return f"{self.units} {self.kind}"


class UsageCounter(models.Model):
    """The running total of one source's units, so that rounding down never loses a fraction."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)
    source = models.CharField(max_length=80)
    units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="billing_counter_once", fields=["team", "kind", "source"]),
            models.CheckConstraint(name="billing_counter_grows", condition=Q(units__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.units} {self.kind}"
