"""What a team has bought, what a unit costs, and the budget that all spending locks first."""

from datetime import datetime

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from accounts.models import Team
from accounts.visibility import TeamOwnedQuerySet
from billing.models.grants import CreditGrant
from billing.models.ranges import just


class Plan(models.Model):
    """What a team has bought: how much may run at once and what a month costs.

    Its price at Stripe is a copy that `sync_stripe_catalog` makes; a changed fee is a new price.
    """

    code = models.SlugField(primary_key=True)
    name = models.CharField(max_length=60)
    monthly_cents = models.PositiveIntegerField(default=0)
    concurrency = models.PositiveSmallIntegerField(default=1)  # Jobs of one team running at once.
    included_micro = models.PositiveBigIntegerField(default=0)  # Credit each paid month, micro-USD.
    features = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    is_offered = models.BooleanField(default=True)  # Whether teams may choose it themselves.
    order = models.PositiveSmallIntegerField(default=0)
    stripe_price_id = models.CharField(max_length=80, blank=True, editable=False)
    is_prepaid = models.BooleanField(default=False)  # Work runs only while credit lasts.

    def __str__(self) -> str:
        return self.name


class RateQuerySet(models.QuerySet["Rate"]):
    def current(self, sku: str) -> "Rate":
        """The rate in force now. Raises Rate.DoesNotExist for an unpriced SKU."""
        return self.get(sku=sku, valid__contains=now())


class Rate(models.Model):
    """The price of one unit of a SKU during a span of time. Superseded, never edited."""

    sku = models.CharField(max_length=60)  # A compute class's code, or "inference-tokens".
    nano_per_unit = models.BigIntegerField()  # Nano-USD per device-second, or per token.
    valid = DateTimeRangeField()
    stripe_price_id = models.CharField(max_length=80, blank=True)
    objects = RateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_rate_not_negative", condition=Q(nano_per_unit__gte=0)
            ),
            ExclusionConstraint(
                name="billing_rate_one_at_a_time",
                expressions=[
                    (just("sku", "lathe_textrange"), RangeOperators.OVERLAPS),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku}: {self.nano_per_unit} nano-USD"


class BudgetQuerySet(TeamOwnedQuerySet["Budget"]):
    pass


class Budget(models.Model):
    """The one row per team that everything which spends locks first."""

    class Mode(models.TextChoices):
        BY_PLAN = "", "as the plan says"
        PREPAID = "prepaid"  # Work runs only while credit lasts.
        POSTPAID = "postpaid"  # What credit does not cover is invoiced.

    team = models.OneToOneField(Team, models.CASCADE, primary_key=True, related_name="+")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    cap_micro = models.BigIntegerField(null=True, blank=True)  # Micro-USD a month; null: no cap.
    period_start = models.DateTimeField()  # First moment of the month that spent_micro counts.
    spent_micro = models.BigIntegerField(default=0)  # This period's usage, refunds taken off.
    reserved_micro = models.BigIntegerField(default=0)  # Held for live leases.
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.BY_PLAN, blank=True)
    debt_micro = models.BigIntegerField(default=0)  # Credit taken back after it was used.
    held_at = models.DateTimeField(null=True, blank=True)  # Unusual spending: nothing may run.
    hold_reason = models.CharField(max_length=255, blank=True)
    calm_until = models.DateTimeField(null=True, blank=True)  # Not held again before this.
    told_percent = models.PositiveSmallIntegerField(default=0)  # Highest notice of this period.
    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="billing_budget_reserved_not_negative", condition=Q(reserved_micro__gte=0)
            ),
            models.CheckConstraint(
                name="billing_budget_cap_not_negative",
                condition=Q(cap_micro=None) | Q(cap_micro__gte=0),
            ),
            models.CheckConstraint(
                name="billing_budget_debt_not_negative", condition=Q(debt_micro__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"Budget of {self.team}"

    @property
    def is_prepaid(self) -> bool:
        return self.mode == self.Mode.PREPAID or (not self.mode and self.plan.is_prepaid)

    @property
    def may_spend(self) -> bool:
        """Whether anything may be used right now: not on hold, and something is left."""
        left = self.left_micro
        return self.held_at is None and (left is None or left > 0)

    @property
    def left_micro(self) -> int | None:
        """Micro-USD that may still be spent now; None when nothing limits it."""
        return self.free_micro(now())

    def free_micro(self, until: datetime, *, besides_micro: int = 0) -> int | None:
        """What no live lease holds of the cap and, when prepaid, of credit valid at `until`.

        `besides_micro`: a reservation to leave out of the count, such as the asking run's own.
        """
        limits = []
        if self.cap_micro is not None:
            limits.append(self.cap_micro - self.spent_micro)
        if self.is_prepaid:
            limits.append(CreditGrant.objects.filter(team=self.team_id).usable(until).left())
        if self.debt_micro:
            limits.append(0)
        if not limits:
            return None
        return max(0, min(limits) - (self.reserved_micro - besides_micro))
