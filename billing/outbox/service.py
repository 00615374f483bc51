"""Which subscription bills a team's usage at a given moment, if any."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# Stripe finalizes an invoice an hour after its period ends; we stop counting on that earlier.
GRACE = timedelta(minutes=50)


@dataclass(frozen=True)
class Window:
    """A stretch of a service period, [start, end); `end` is None while it is not known."""

    start: datetime
    end: datetime | None

    def is_open(self, moment: datetime) -> bool:
        """Whether an event stamped inside still reaches the invoice of the period."""
        return self.end is None or moment < self.end + GRACE


@dataclass(frozen=True)
class Service:
    """A subscription as far as metering is concerned."""

    subscription: str
    customer: str
    started_at: datetime
    period_start: datetime
    period_end: datetime
    ended_at: datetime | None
    event_names: dict[str, str]  # The meters of its items: SKU → event name at Stripe.
    is_decided: bool = True  # False until the first payment came or is given up.

    def bills(self, moment: datetime) -> bool:
        """Whether there will be another invoice."""
        return self.is_decided and self.window(moment) is not None

    def window(self, moment: datetime) -> Window | None:
        """The stretch that holds this moment; None when the subscription does not cover it."""
        if moment < self.started_at or (self.ended_at and moment >= self.ended_at):
            return None
        if moment < self.period_start:
            return Window(self.started_at, self.period_start)
        if moment < self.period_end:
            return Window(self.period_start, _earlier(self.period_end, self.ended_at))
        return Window(self.period_end, self.ended_at)  # Renewed, but not heard of yet.


def _earlier(moment: datetime, other: datetime | None) -> datetime:
    return moment if other is None else min(moment, other)
