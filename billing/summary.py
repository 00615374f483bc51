"""What one cause, such as a job, has used and cost so far."""

from dataclasses import dataclass

from django.db.models import Sum

from billing.models import LedgerEntry, UsageSegment


@dataclass(frozen=True)
class Summary:
    """Totals over every run of one source."""

    device_ms: int  # Metered device-milliseconds.
    amount_micro: int  # Charged, before refunds.
    refunded_micro: int  # Given back, as a positive number.

    @property
    def net_micro(self) -> int:
        """What the team owes for this source."""
        return self.amount_micro - self.refunded_micro

    @property
    def device_seconds(self) -> float:
        return self.device_ms / 1000


def summary_of(source: str) -> Summary:
    """Read from the segments and the ledger, which agree by construction (tested)."""
    used = UsageSegment.objects.filter(source=source).aggregate(
        ms=Sum("device_ms"), micro=Sum("amount_micro")
    )
    refunded = LedgerEntry.objects.filter(about=source, kind=LedgerEntry.Kind.REFUND).total_micro()
    return Summary(used["ms"] or 0, used["micro"] or 0, -refunded)
