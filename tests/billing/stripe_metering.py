"""A subscribed team at the fake Stripe, a clock that both sides follow, and what it would bill."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from billing import reconciling
from billing.models import Meter, StripeOutbox, UsageSegment
from billing.outbox import building, claiming, resending, sending
from billing.outbox.service import Service
from tests.billing.outbox_facts import METERS, service
from tests.billing.stripe_server import StripeServer

EVENTS, ITEMS = "/v1/billing/meter_events$", "/v1/invoiceitems$"
SUMMARIES = "/event_summaries$"


class Metered:
    """The teams' customers at the fake Stripe, one each."""

    def __init__(self, server: StripeServer, monkeypatch) -> None:
        self.server, self.world = server, server.world
        self.customers: dict[UUID, str] = {}
        self.meters = {
            sku: self.world.new("billing.meter", "mtr", event_name=name, status="active")
            for sku, name in METERS.items()
        }
        for sku, meter in self.meters.items():
            Meter.objects.create(sku=sku, event_name=METERS[sku], meter_id=meter["id"])
        self.ahead = timedelta()
        for module in (building, claiming, sending, resending, reconciling):
            monkeypatch.setattr(module, "now", self.now)
        self.service = service()
        monkeypatch.setattr(building, "service_of", self.service_of)

    def service_of(self, team_id: UUID) -> Service:
        """The service as it is set, for the team's own customer."""
        return replace(self.service, customer=self.customer_of(team_id))

    def customer_of(self, team_id: UUID) -> str:
        if team_id not in self.customers:
            self.customers[team_id] = self.world.new("customer", "cus", currency="usd")["id"]
        return self.customers[team_id]

    def now(self) -> datetime:
        return timezone.now() + self.ahead

    def wait(self, **span: float) -> None:
        """Time passes, here and there."""
        self.ahead += timedelta(**span)
        self.world.advance(int(timedelta(**span).total_seconds()))

    def billed(self, sku: str = "cpu") -> int:
        """Units that Stripe would put on invoices."""
        counted = sum(
            self.world.used(customer, self.meters[sku], 0, 2**40)
            for customer in self.customers.values()
        )
        assert counted == int(counted)
        return int(counted)

    def charged_cents(self) -> int:
        """What waits for the next invoice beside the metered lines."""
        return sum(item["amount"] for item in self.world.kind("invoiceitem").values())

    def break_events(self, fault: str, tries: int = 1) -> None:
        """So many deliveries fail: the library repeats some failures twice by itself."""
        repeated = 3 if fault[:4] in {"drop", "500-", "hang"} else 1
        self.server.break_next("POST", EVENTS, fault, tries * repeated)

    def calls(self, path: str = EVENTS, method: str = "POST") -> list[dict]:
        return [params for _, _, params, _ in self.server.calls(method, path)]


def whole_seconds(team) -> int:
    """What the ledger's segments come to."""
    total = sum(UsageSegment.objects.filter(team=team).values_list("device_ms", flat=True))
    return total // 1000


def undelivered() -> int:
    return StripeOutbox.objects.undelivered().count()


def cents(micro: int) -> Decimal:
    return Decimal(micro) / 10_000
