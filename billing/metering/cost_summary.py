"""What one cause, such as a job, has used and cost so far."""

from dataclasses import dataclass

from django.db.models import BigIntegerField, ExpressionWrapper, F, Sum

from billing.models import LedgerEntry, MeteredRun
from billing.money import MS_PER_SECOND, NANO_PER_MICRO

# Of a MeteredRun: the sum of its segments without reading them, since its `billed_ms` is where
# they end and amounts telescope (see billing.money). One row each instead of one a heartbeat.
RUN_DEVICE_MS = ExpressionWrapper(F("billed_ms") * F("devices"), BigIntegerField())
RUN_CHARGED_MICRO = ExpressionWrapper(
    F("billed_ms") * F("devices") * F("rate__nano_per_unit") / (MS_PER_SECOND * NANO_PER_MICRO),
    BigIntegerField(),
)


@dataclass(frozen=True)
class CostSummary:
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


def load_cost_summary(source: str) -> CostSummary:
    """Read from the runs and the ledger, which agree by construction (tested)."""
    used = MeteredRun.objects.filter(source=source).aggregate(
        ms=Sum(RUN_DEVICE_MS), micro=Sum(RUN_CHARGED_MICRO)
    )
    refunded = LedgerEntry.objects.filter(about=source, kind=LedgerEntry.Kind.REFUND).total_micro()
    return CostSummary(used["ms"] or 0, used["micro"] or 0, -refunded)
