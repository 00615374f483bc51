"""Usage and credit per day, kept by the database itself as rows are entered.

Triggers on the ledger, the segments, the events and the burns add to these rows in the same
statement, and refuse every other change: the sums are equal by construction, and quick to read.
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
