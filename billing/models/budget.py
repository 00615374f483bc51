"""The row per team that everything which spends locks first."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, Q
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.credit import CreditGrant
from billing.models.prices import Plan
from billing.models.stripe import Subscription


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
    # This period's usage, refunds taken off. A debt that is charged was counted when it was used.
    spent_micro = models.BigIntegerField(default=0)
    reserved_micro = models.BigIntegerField(default=0)  # Held for live leases.
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.BY_PLAN, blank=True)
    debt_micro = models.BigIntegerField(default=0)  # Credit taken back after it was used.
    held_at = models.DateTimeField(null=True, blank=True)  # Unusual spending: nothing may run.
    hold_reason = models.CharField(max_length=255, blank=True)
    # Not put on hold again before this.
    hold_exempt_until = models.DateTimeField(null=True, blank=True, db_column="calm_until")
    # Highest alert of this period.
    last_alerted_percent = models.PositiveSmallIntegerField(default=0, db_column="told_percent")
    objects = TeamOwnedQuerySet["Budget"].as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                name="billing_budget_reserved_not_negative", condition=Q(reserved_micro__gte=0)
            ),
            CheckConstraint(
                name="billing_budget_cap_not_negative",
                condition=Q(cap_micro=None) | Q(cap_micro__gte=0),
            ),
            CheckConstraint(
                name="billing_budget_debt_not_negative", condition=Q(debt_micro__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"Budget of {self.team}"

    @property
    def is_prepaid(self) -> bool:
        """Whether work runs only while credit lasts, as the operator or else the plan says."""
        if self.mode:
            return self.mode == self.Mode.PREPAID
        return self.plan.is_prepaid or self.lacks_card

    @property
    def lacks_card(self) -> bool:
        """Whether nothing would collect what this team uses beyond its credit.

        Where Stripe collects, that takes a subscription, which comes with a card.
        """
        if not settings.STRIPE_SECRET_KEY:
            return False
        return not Subscription.objects.in_force().filter(team=self.team_id).exists()

    @property
    def advice(self) -> str:
        """What to do when nothing is left."""
        if self.is_prepaid:
            return "Add credit, or choose a plan, on the Plan & payment page."
        return "Raise the cap on the Usage & billing page."

    @property
    def can_spend(self) -> bool:
        """Whether anything may be used right now: not on hold, and something is left."""
        left = self.left_micro
        return self.held_at is None and (left is None or left > 0)

    @property
    def left_micro(self) -> int | None:
        """Micro-USD that may still be spent now; None when nothing limits it."""
        return self.available_micro(now())

    def available_micro(self, until: datetime, *, besides_micro: int = 0) -> int | None:
        """What no live lease holds of the cap and, when prepaid, of credit valid at `until`.

        `besides_micro`: a reservation to leave out of the count, such as the asking run's own.
        """
        limits = []
        if self.cap_micro is not None:
            limits.append(self.cap_micro - self.spent_micro)
        if self.is_prepaid:
            limits.append(
                CreditGrant.objects.filter(team=self.team_id).usable(until).total_left_micro()
            )
        if self.debt_micro:
            limits.append(0)
        if not limits:
            return None
        return max(0, min(limits) - (self.reserved_micro - besides_micro))
