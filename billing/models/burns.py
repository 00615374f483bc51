"""Which credit settled which ledger entry."""

from django.db import models
from django.db.models import Q, Sum
from django.utils.timezone import now

from accounts.models import Team
from accounts.visibility import TeamOwnedQuerySet
from billing.models.grants import CreditGrant
from billing.models.ledger import LedgerEntry


class CreditBurnQuerySet(TeamOwnedQuerySet["CreditBurn"]):
    def total_micro(self) -> int:
        return self.aggregate(total=Sum("amount_micro"))["total"] or 0


class CreditBurn(models.Model):
    """A part of a grant that settled an entry; negative when a refund put it back. Append-only."""

    team = models.ForeignKey(Team, models.PROTECT, related_name="+")
    grant = models.ForeignKey(CreditGrant, models.PROTECT, related_name="burns")
    entry = models.ForeignKey(LedgerEntry, models.PROTECT, related_name="burns")
    amount_micro = models.BigIntegerField()
    occurred_at = models.DateTimeField(default=now)
    objects = CreditBurnQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="billing_burn_not_zero", condition=~Q(amount_micro=0)),
            models.UniqueConstraint(
                name="billing_burn_once_per_entry_and_grant", fields=["entry", "grant"]
            ),
        ]
        indexes = [models.Index(name="billing_burn_by_team", fields=["team", "-occurred_at"])]

    def __str__(self) -> str:
        return f"{self.amount_micro} micro-USD of grant {self.grant_id}"
