"""The append-only ledger."""

from typing import Self, TypeVar

from django.db import models
from django.db.models import Index, Q, Sum
from django.utils.timezone import now

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.usage import MeteredRun

Row = TypeVar("Row", bound=models.Model)


class AmountQuerySet(TeamOwnedQuerySet[Row]):
    """Rows with an amount each."""

    def total_micro(self) -> int:
        """The signed sum; of ledger entries, what is owed (positive)."""
        return self.aggregate(total=Sum("amount_micro"))["total"] or 0


class LedgerEntryQuerySet(AmountQuerySet["LedgerEntry"]):
    def of_usage(self) -> Self:
        """What work cost and what of it was given back, without movements of credit."""
        return self.exclude(kind__in=CREDIT_KINDS)

    def of_credit(self) -> Self:
        """Credit granted, expired and taken back."""
        return self.filter(kind__in=CREDIT_KINDS)


class LedgerEntry(models.Model):
    """One signed amount: positive is owed by the team, negative is given back. Append-only.

    `source` is the entry's cause and is unique, so a cause is booked once. Written by
    `billing.ledger.posting` (usage) and `billing.credit.application` (credit) only.
    """

    class Kind(models.TextChoices):
        COMPUTE = "compute"
        INFERENCE = "inference"
        REFUND = "refund"
        ADJUSTMENT = "adjustment"
        CREDIT = "credit"  # Granted.
        EXPIRY = "expiry"  # Credit that was left when its time was over.
        TAKE_BACK = "take_back", "credit taken back"  # Its payment was refunded or disputed.

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount_micro = models.BigIntegerField()
    source = models.CharField(max_length=120, unique=True)  # For example "segment:41".
    about = models.CharField(max_length=80, blank=True)  # For example "training-job:<id>".
    note = models.CharField(max_length=255, blank=True)
    run = models.ForeignKey(MeteredRun, models.PROTECT, null=True, blank=True, related_name="+")
    sku = models.CharField(max_length=60, blank=True)  # What was used; "" for what is not usage.
    token_prefix = models.CharField(max_length=16, blank=True)  # Which API token asked.
    occurred_at = models.DateTimeField(default=now)
    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [
            Index(name="billing_ledger_by_team", fields=["team", "-occurred_at"]),
            Index(name="billing_ledger_by_about", fields=["about"]),
            Index(
                name="billing_ledger_to_carry",
                fields=["team", "id"],
                condition=Q(kind__in=["refund", "adjustment"]),
            ),
            Index(
                name="billing_ledger_not_charges",
                fields=["team", "occurred_at"],
                condition=~Q(kind__in=["compute", "inference"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.amount_micro} micro-USD"


CREDIT_KINDS = (LedgerEntry.Kind.CREDIT, LedgerEntry.Kind.EXPIRY, LedgerEntry.Kind.TAKE_BACK)
