"""What statements read and leave: usage and credit per day, and invoices of months that are over.

Triggers on the ledger, the segments, the events and the burns add to the sums per day in the same
statement, and refuse every other change: they are equal by construction, and quick to read.
"""

from django.db import models
from django.db.models import Index, UniqueConstraint

from accounts.models import Team, TeamOwnedQuerySet
from billing.models.credit import CreditGrant
from billing.models.ledger import AmountQuerySet
from billing.models.usage import MeteredRun


class UsageDay(models.Model):
    """What one run, or one API token at one deployment, used on one day (UTC)."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    day = models.DateField()
    source = models.CharField(max_length=80)  # For example "training-job:<id>".
    run = models.ForeignKey(MeteredRun, models.PROTECT, null=True, related_name="+")
    sku = models.CharField(max_length=60)
    token_prefix = models.CharField(max_length=16)
    device_ms = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    amount_micro = models.BigIntegerField(default=0)  # Charges only: refunds are entries.
    objects = AmountQuerySet["UsageDay"].as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(
                name="billing_usageday_once",
                fields=["team", "day", "source", "run", "sku", "token_prefix"],
                nulls_distinct=False,
            )
        ]
        indexes = [Index(name="billing_usageday_by_source", fields=["source"])]


class CreditDay(models.Model):
    """How much usage one grant covered on one day (UTC), less what refunds put back."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    day = models.DateField()
    grant = models.ForeignKey(CreditGrant, models.PROTECT, related_name="+")
    used_micro = models.BigIntegerField(default=0)
    objects = TeamOwnedQuerySet["CreditDay"].as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(name="billing_creditday_once", fields=["team", "day", "grant"])
        ]


class BillingDetails(models.Model):
    """What a team wants to read on its invoices."""

    team = models.OneToOneField(Team, models.CASCADE, primary_key=True, related_name="+")
    legal_name = models.CharField(max_length=160, blank=True)
    address = models.TextField(max_length=600, blank=True)
    tax_id = models.CharField("tax or VAT id", max_length=40, blank=True)
    email = models.EmailField("e-mail for invoices", blank=True)
    reference = models.CharField("your reference", max_length=80, blank=True)
    objects = TeamOwnedQuerySet["BillingDetails"].as_manager()

    def __str__(self) -> str:
        return self.legal_name or str(self.team)


class Invoice(models.Model):
    """One team's month as it was when it ended, with a number of its own. Append-only."""

    number = models.CharField(max_length=40, primary_key=True)  # Prefix-year-serial, no gaps.
    serial = models.PositiveIntegerField(unique=True)
    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    month = models.CharField(max_length=7)  # "2026-11"
    issued_at = models.DateTimeField()
    content = models.JSONField()  # Of billing.statements.invoices.InvoiceContent.
    objects = TeamOwnedQuerySet["Invoice"].as_manager()

    class Meta:
        constraints = [
            UniqueConstraint(name="billing_invoice_once_a_month", fields=["team", "month"])
        ]

    def __str__(self) -> str:
        return self.number
