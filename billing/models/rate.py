"""Prices per SKU, each valid for a span of time."""

from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from billing.models.ranges import single_value_range

SECONDS_PER_HOUR = 3600


class RateQuerySet(models.QuerySet["Rate"]):
    def in_force(self) -> Self:
        """The rates of today: one per priced SKU."""
        return self.filter(valid__contains=now())

    def current(self, sku: str) -> "Rate":
        """The rate in force now. Raises Rate.DoesNotExist for an unpriced SKU."""
        return self.in_force().get(sku=sku)

    def find(self, sku: str) -> "Rate | None":
        """The rate in force now; None for an unpriced SKU."""
        return self.in_force().filter(sku=sku).first()


class Rate(models.Model):
    """The price of one unit of a SKU during a span of time. Superseded, never edited."""

    sku = models.CharField(max_length=60)  # A compute class's code, or "inference-tokens".
    nano_per_unit = models.BigIntegerField()  # Nano-USD per device-second, or per token.
    valid = DateTimeRangeField()
    stripe_price_id = models.CharField(max_length=80, blank=True)
    stripe_account = models.CharField(max_length=80, blank=True)  # Of that price.
    objects = RateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_rate_not_negative", condition=Q(nano_per_unit__gte=0)
            ),
            ExclusionConstraint(
                name="billing_rate_one_at_a_time",
                expressions=[
                    (single_value_range("sku", "lathe_textrange"), RangeOperators.OVERLAPS),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku}: {self.nano_per_unit} nano-USD"

    @property
    def nano_per_hour(self) -> int:
        """The price of an hour of one device, where the unit is a second."""
        return self.nano_per_unit * SECONDS_PER_HOUR
