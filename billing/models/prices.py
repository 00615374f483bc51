"""What things cost: subscription plans, and prices per SKU, each valid for a span of time."""

from typing import Self

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import CheckConstraint, F, Func, Q, Value
from django.utils.timezone import now


def single_value_range(field: str, range_type: str) -> Func:
    """The range holding exactly this field's value: two of them overlap when they are equal.

    GiST indexes ranges natively, whereas scalar equality needs the btree_gist extension, which
    neither the embedded PostgreSQL nor every managed one offers.
    """
    return Func(F(field), F(field), Value("[]"), function=range_type)


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


class RateQuerySet(models.QuerySet["Rate"]):
    def in_force(self) -> Self:
        """The rates of today: one per priced SKU."""
        return self.filter(valid__contains=now())

    def current(self, sku: str) -> "Rate":
        """The rate in force now. Raises Rate.DoesNotExist for an unpriced SKU."""
        return self.in_force().get(sku=sku)


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
            CheckConstraint(name="billing_rate_not_negative", condition=Q(nano_per_unit__gte=0)),
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
