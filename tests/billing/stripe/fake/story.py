"""What tests tell of a team and its Stripe account: subscribing, paying, messages arriving."""

import uuid
from typing import Any

from django.test import Client

from accounts.models import Team, User
from billing.models import Plan, Subscription, TopUp
from billing.stripe.catalog import sync_catalog
from billing.stripe.credit import mirror_due
from billing.stripe.subscriptions import start_checkout
from billing.stripe.top_ups import start_top_up_checkout
from billing.stripe.webhooks.dispatcher import process_due
from tests.billing.stripe.fake.server import StripeServer
from tests.billing.stripe.fake.world import Thing

SECRET, THIN_SECRET = "whsec_test", "whsec_thin"
A, B = "/stripe/webhook/", "/stripe/webhook/thin/"


class Story:
    """One team that pays, and the messages about it that were delivered so far."""

    def __init__(self, server: StripeServer, team: Team, owner: User) -> None:
        self.server, self.world, self.team, self.owner = server, server.world, team, owner
        self.delivered = 0
        sync_catalog()

    def post(self, event: Thing, *, path: str = A, secret: str = SECRET, **more: Any) -> int:
        """Stripe posts one message; our answer's status."""
        body, header = self.server.sign(event, secret, at=more.get("at"))
        answer = Client(enforce_csrf_checks=True).post(
            path, body, content_type="application/json", HTTP_STRIPE_SIGNATURE=header
        )
        return answer.status_code

    def deliver(self, *, times: int = 1, backwards: bool = False) -> list[Thing]:
        """Every message since the last delivery arrives and is carried out."""
        events = self.world.events[self.delivered :]
        self.delivered = len(self.world.events)
        for event in (list(reversed(events)) if backwards else events) * times:
            assert self.post(event) == 200
            process_due()
        mirror_due()
        return events

    def subscribe(self, code: str = "team", **how: Any) -> Subscription:
        url = start_checkout(self.team, self.owner, Plan.objects.get(pk=code), uuid.uuid4())
        self.world.pay(url.rpartition("/")[2])
        self.deliver(**how)
        return Subscription.objects.get(team=self.team)

    def open_top_up(self, cents: int = 2_500) -> TopUp:
        request_id = uuid.uuid4()
        start_top_up_checkout(self.team, self.owner, cents, request_id)
        return TopUp.objects.get(pk=request_id)

    def pay_top_up(self, cents: int = 2_500, **how: Any) -> TopUp:
        row = self.open_top_up(cents)
        self.world.pay(row.session_id)
        self.deliver(**how)
        row.refresh_from_db()
        return row
