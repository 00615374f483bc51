"""The append-only ledger."""

from django.db import models
from django.db.models import Sum
from django.utils.timezone import now

from accounts.models import Team
from accounts.visibility import TeamOwnedQuerySet


class LedgerEntryQuerySet(TeamOwnedQuerySet["LedgerEntry"]):
    def total_micro(self) -> int:
        """The signed sum: what is owed (positive) over these entries."""
        return self.aggregate(total=Sum("amount_micro"))["total"] or 0


class LedgerEntry(models.Model):
    """One signed amount: positive is owed by the team, negative is given back. Append-only.

    `source` is the entry's cause and is unique, so a cause is booked once.
    """

    class Kind(models.TextChoices):
        COMPUTE = "compute"
        INFERENCE = "inference"
        REFUND = "refund"
        CREDIT = "credit"
        ADJUSTMENT = "adjustment"

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    amount_micro = models.BigIntegerField()
    source = models.CharField(max_length=120, unique=True)  # For example "segment:41".
    about = models.CharField(max_length=80, blank=True)  # For example "training-job:<id>".
    note = models.CharField(max_length=255, blank=True)
    occurred_at = models.DateTimeField(default=now)
    reverses = models.OneToOneField("self", models.PROTECT, null=True, related_name="reversed_by")
    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(name="billing_ledger_by_team", fields=["team", "-occurred_at"]),
            models.Index(name="billing_ledger_by_about", fields=["about"]),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.amount_micro} micro-USD"
