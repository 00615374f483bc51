"""Credit that a team holds: bought or given, used up by charges until it is gone or expires."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, Sum, UniqueConstraint
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.ledger import AmountQuerySet, LedgerEntry


class CreditGrantQuerySet(TeamOwnedQuerySet["CreditGrant"]):
    def usable(self, moment: datetime) -> Self:
        """With something left that has not expired by this moment."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=moment), left_micro__gt=0)

    def in_burn_order(self) -> Self:
        """Priority (0 first), soonest expiry, promo before paid, oldest."""
        promo_last = Q(kind=CreditGrant.Kind.PAID)
        return self.annotate(
            is_paid=models.ExpressionWrapper(promo_last, models.BooleanField())
        ).order_by("priority", F("expires_at").asc(nulls_last=True), "is_paid", "granted_at", "pk")

    def total_left_micro(self) -> int:
        """Micro-USD left over these grants."""
        return self.aggregate(total=Sum("left_micro"))["total"] or 0


class CreditGrant(models.Model):
    """One amount of credit. Only what is left of it ever changes, under the team's budget lock."""

    class Kind(models.TextChoices):
        PAID = "paid"
        PROMO = "promo"

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    granted_micro = models.BigIntegerField()
    left_micro = models.BigIntegerField()  # Granted less every CreditBurn of it.
    priority = models.PositiveSmallIntegerField(default=50)  # 0 is used first, 100 last.
    source = models.CharField(max_length=120, unique=True)  # For example "topup:<payment intent>".
    note = models.CharField(max_length=255)
    granted_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True, blank=True)
    stripe_grant_id = models.CharField(max_length=80, blank=True)
    objects = CreditGrantQuerySet.as_manager()

    class Meta:
        constraints = [
            CheckConstraint(
                name="billing_grant_left_is_part_of_granted",
                condition=Q(granted_micro__gt=0, left_micro__gte=0)
                & Q(left_micro__lte=F("granted_micro")),
            ),
            CheckConstraint(
                name="billing_grant_priority", condition=Q(priority__gte=0, priority__lte=100)
            ),
            CheckConstraint(
                name="billing_grant_expires_after_granted",
                condition=Q(expires_at=None) | Q(expires_at__gt=F("granted_at")),
            ),
        ]
        indexes = [
            Index(name="billing_grant_with_credit", fields=["team"], condition=Q(left_micro__gt=0)),
            Index(name="billing_grant_by_team", fields=["team", "-granted_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.note} ({self.kind})"

    @property
    def about(self) -> str:
        """How ledger entries name this grant."""
        return f"credit:{self.pk}"


class CreditBurn(models.Model):
    """A part of a grant that settled an entry; negative when a refund put it back. Append-only."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    grant = models.ForeignKey(CreditGrant, models.PROTECT, related_name="burns")
    entry = models.ForeignKey(LedgerEntry, models.PROTECT, related_name="burns")
    amount_micro = models.BigIntegerField()
    occurred_at = models.DateTimeField(default=now)
    objects = AmountQuerySet["CreditBurn"].as_manager()

    class Meta:
        constraints = [
            CheckConstraint(name="billing_burn_not_zero", condition=~Q(amount_micro=0)),
            UniqueConstraint(
                name="billing_burn_once_per_entry_and_grant", fields=["entry", "grant"]
            ),
        ]
        indexes = [Index(name="billing_burn_by_team", fields=["team", "-occurred_at"])]
