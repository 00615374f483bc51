"""Invoices of months that are over, and who they are made out to."""

from django.db import models
from django.db.models import UniqueConstraint

from accounts.models import Team, TeamOwnedQuerySet


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
