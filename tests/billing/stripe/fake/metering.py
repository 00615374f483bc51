"""A subscribed team at the fake Stripe, a clock that both sides follow, and what it would bill."""

from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from accounts.models import Team
from billing.budgets.budget import get_budget
from billing.models import Budget, Meter, Rate, StripeOutbox, Subscription
from billing.stripe import gateway, reconciliation
from billing.stripe.usage_outbox import builder, claims, rows, sender
from billing.stripe.usage_outbox.rows import MeteredSubscription
from tests.billing.stripe.fake.server import StripeServer
from tests.billing.stripe.usage_outbox.outbox_facts import METERS, service
from web import row_queue

EVENTS = "/v1/billing/meter_events$"
SUMMARIES = "/event_summaries$"


class Metered:
    """The teams' customers at the fake Stripe, one each."""

    def __init__(self, server: StripeServer, monkeypatch) -> None:
        self.server, self.world, self.monkeypatch = server, server.world, monkeypatch
        self.customers: dict[UUID, str] = {}
        self.meters = {
            sku: self.world.new("billing.meter", "mtr", event_name=name, status="active")
            for sku, name in METERS.items()
        }
        for sku, meter in self.meters.items():
            Meter.objects.create(sku=sku, event_name=METERS[sku], meter_id=meter["id"])
        self.ahead = timedelta()
        for module in (builder, claims, row_queue, sender, reconciliation):
            monkeypatch.setattr(module, "now", self.now)
        self.service = service()
        monkeypatch.setattr(builder, "find_metered_subscription", self.service_of)

    def service_of(self, team_id: UUID) -> MeteredSubscription:
        """The service as it is set, for the team's own customer."""
        row = copy(self.service.row)
        row.customer_id = self.customer_of(team_id)
        return MeteredSubscription(row, self.service.event_names)

    def customer_of(self, team_id: UUID) -> str:
        if team_id not in self.customers:
            self.customers[team_id] = self.world.new("customer", "cus", currency="usd")["id"]
        return self.customers[team_id]

    def subscribe(self, team: Team) -> str:
        """A real subscription with every meter, as the webhooks would have told us of it."""
        customer = self.customer_of(team.pk)
        product = self.world.new("product", "prod", name="Usage", active=True)
        for rate in Rate.objects.filter(sku__in=METERS):
            price = self.world.new(
                "price", "price", product=product["id"], currency="usd", active=True,
                lookup_key=rate.sku, unit_amount=None, type="recurring",
                unit_amount_decimal=f"{Decimal(rate.nano_per_unit) / 10**7:f}",
                recurring={"usage_type": "metered", "meter": self.meters[rate.sku]["id"]},
            )  # fmt: skip
            Rate.objects.filter(pk=rate.pk).update(stripe_price_id=price["id"])
        prices = Rate.objects.filter(sku__in=METERS).values_list("stripe_price_id", flat=True)
        session = self.world.new(
            "checkout.session", "cs", mode="subscription", status="open", customer=customer,
            amount_total=0, _lines=[{"price": price} for price in prices],
            _subscription_metadata={},
        )  # fmt: skip
        stripe_id: str = self.world.pay(session["id"])["subscription"]
        self.monkeypatch.setattr(
            builder, "find_metered_subscription", rows.find_metered_subscription
        )
        self.read(team, stripe_id)
        return stripe_id

    def read(self, team: Team, stripe_id: str) -> None:
        """What our copy says once the webhooks were heard."""
        facts = gateway.retrieve_subscription(stripe_id)
        Subscription.objects.update_or_create(
            team=team,
            defaults={
                "stripe_id": facts.id, "customer_id": facts.customer, "status": facts.status,
                "plan_id": "free", "created_at": facts.created, "ended_at": facts.ended_at,
                "metered_items": {item.price.id: item.id for item in facts.items},
                "period_start": facts.items[0].period_start,
                "period_end": facts.items[0].period_end, "read_at": self.now(),
            },
        )  # fmt: skip

    def close_period(self, stripe_id: str) -> str:
        """Time passes to the end of the period; the id of its draft invoice."""
        invoice = self.world.close_period(stripe_id)
        self.ahead = timedelta(seconds=self.world.offset)
        return str(invoice["id"])

    def trust(self, team: Team) -> None:
        """An operator lets the team use more than its credit."""
        get_budget(team)
        Budget.objects.filter(pk=team.pk).update(mode=Budget.Mode.POSTPAID)

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

    def break_events(self, fault: str, tries: int = 1) -> None:
        """So many deliveries fail: the library repeats some failures twice by itself."""
        repeated = 3 if fault[:4] in {"drop", "500-", "hang"} else 1
        self.server.break_next("POST", EVENTS, fault, tries * repeated)

    def calls(self, path: str = EVENTS, method: str = "POST") -> list[dict]:
        return [params for _, _, params, _ in self.server.calls(method, path)]


def undelivered() -> int:
    return StripeOutbox.objects.undelivered().count()
