"""Which subscription bills a team's usage at a given moment, if any."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from billing.models import Meter, Rate, Subscription

INCOMPLETE_EXPIRED = "incomplete_expired"  # The first payment never came.
# Stripe finalizes an invoice an hour after its period ends; we stop counting on that earlier.
REPORTING_GRACE = timedelta(minutes=50)


@dataclass(frozen=True)
class BillingWindow:
    """A stretch of a service period, [start, end); `end` is None while it is not known."""

    start: datetime
    end: datetime | None

    def is_open(self, moment: datetime) -> bool:
        """Whether an event stamped inside still reaches the invoice of the period."""
        return self.end is None or moment < self.end + REPORTING_GRACE


@dataclass(frozen=True)
class MeteredSubscription:
    """A subscription as far as metering is concerned."""

    subscription: str
    customer: str
    started_at: datetime
    period_start: datetime
    period_end: datetime
    ended_at: datetime | None
    event_names: dict[str, str]  # The meters of its items: SKU → event name at Stripe.
    prices: frozenset[str] | None = None  # Of its metered items; None: any price is billed.
    is_payment_decided: bool = True  # False until the first payment came or is given up.

    def window(self, moment: datetime) -> BillingWindow | None:
        """The stretch that holds this moment; None when the subscription does not cover it."""
        if moment < self.started_at or (self.ended_at and moment >= self.ended_at):
            return None
        if moment < self.period_start:
            return BillingWindow(self.started_at, self.period_start)
        if moment < self.period_end:
            ends = [self.period_end, self.ended_at or self.period_end]
            return BillingWindow(self.period_start, min(ends))
        return BillingWindow(self.period_end, self.ended_at)  # Renewed, but not heard of yet.

    def has_price(self, meter: str, price: str) -> bool:
        """Whether its invoices bill this meter at this price."""
        return meter in self.event_names and (self.prices is None or price in self.prices)


def find_metered_subscription(team_id: UUID) -> MeteredSubscription | None:
    """As Stripe last told us; None for a team that never had a subscription."""
    row = Subscription.objects.filter(team_id=team_id).first()
    if row is None or row.status == INCOMPLETE_EXPIRED:
        return None
    skus = Rate.objects.filter(stripe_price_id__in=list(row.metered_items)).values("sku")
    meters = Meter.objects.filter(sku__in=skus)
    return MeteredSubscription(
        subscription=row.stripe_id,
        customer=row.customer_id,
        started_at=row.created_at,
        period_start=row.period_start,
        period_end=row.period_end,
        ended_at=row.ended_at,
        event_names=dict(meters.values_list("sku", "event_name")),
        prices=frozenset(row.metered_items),
        is_payment_decided=row.status != "incomplete",
    )
