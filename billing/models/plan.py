"""Subscription plans: what a team has bought."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Plan(models.Model):
    """What a team has bought: how much may run at once and what a month costs.

    Its price at Stripe is a copy that `sync_stripe_catalog` makes; a changed fee is a new price.
    """

    code = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    monthly_cents = models.PositiveIntegerField(default=0)
    concurrency = models.PositiveSmallIntegerField(default=1)  # Jobs of one team running at once.
    storage_bytes = models.PositiveBigIntegerField(null=True, blank=True)  # Null: any number.
    included_micro = models.PositiveBigIntegerField(default=0)  # Credit each paid month, micro-USD.
    features = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    is_offered = models.BooleanField(default=True)  # Whether teams may choose it themselves.
    order = models.PositiveSmallIntegerField(default=0)
    stripe_price_id = models.CharField(max_length=80, blank=True, editable=False)
    stripe_account = models.CharField(max_length=80, blank=True, editable=False)  # Of that price.
    is_prepaid = models.BooleanField(default=False)  # Work runs only while credit lasts.

    def __str__(self) -> str:
        return self.name
