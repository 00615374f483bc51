"""Whatever happens in whatever order, statements and Stripe say the same to the cent."""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.credit import grants
from billing.ledger.corrections import BadRefund, refund_part
from billing.models import LedgerEntry, Plan, StripeOutbox, Subscription
from billing.pricing import supersede
from billing.stripe.credit import mirror_due
from billing.stripe.doctor import keep_catalog
from billing.stripe.subscriptions import cancel_at_period_end, change_plan
from billing.stripe.sync import refresh_open_period
from tests.billing.stripe.fake.endpoints import Call, delete_customer
from tests.billing.stripe.fake.tale import DAY, DOLLAR, Tale

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PASS = "passed over"  # Of a step that is impossible as things stand.


class RandomTale(Tale):
    """Every clock is the account's. Steps are drawn; messages lag behind until a comparison."""

    def start(
        self, monkeypatch: pytest.MonkeyPatch, seed: int, begin: datetime | None = None
    ) -> None:
        self.draw, self.told, self.disputes = random.Random(seed), list[str](), list[str]()
        ago = timezone.now() - begin if begin else timedelta(days=330)
        self.world.offset = -int(ago.total_seconds())
        tale = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.now(tz) + timedelta(seconds=tale.world.offset)

        monkeypatch.setattr("django.utils.timezone.datetime", Clock)
        self.subscribe("free")

    def go_on(self, steps: int) -> None:
        names = sorted(name for name in dir(self) if name.startswith("step_"))
        for _ in range(steps):
            name = self.draw.choice(names)
            self.told.append(f"{name}: {getattr(self, name)()}")
            if self.draw.random() < 0.5:
                self.compare()

    def compare(self) -> None:
        """Only a subscription has a next invoice that could charge what is open."""
        self.deliver(times=self.draw.choice([1, 2]), backwards=self.draw.random() < 0.5)
        self.pass_time(minutes=2)
        self.report()
        mirror_due()
        sides = self.statements_cents(), self.charged_cents()
        if self.in_force():
            rows = StripeOutbox.objects.values_list("meter", "status", "amount_micro")
            assert abs(sides[0] - sides[1]) <= 1, (sides, *self.told, *rows)
        refusals = [line for line in self.server.refusals if "customer" not in line]
        assert refusals == []

    def now(self) -> datetime:
        return timezone.now()

    def pass_time(self, **span: float) -> None:
        """Every minute expired credit is booked and what moved is mirrored."""
        super().pass_time(**span)
        if grants.expire_due():
            mirror_due()

    def in_force(self, *, heard: bool = False) -> Subscription | None:
        if heard:
            self.deliver()
        return Subscription.objects.in_force().filter(team=self.team).first()

    # --- Steps: each says what it did -------------------------------------------------------------

    def step_use(self) -> object:
        return self.use(self.draw.randint(1, 30)).amount_micro if self.in_force() else PASS

    def step_top_up(self) -> object:
        row = self.open_top_up(self.draw.choice([500, 1_000, 4_000]))
        self.world.pay(row.session_id)
        return row.amount_cents

    def step_gift(self) -> object:
        refresh_open_period(self.team)  # As the operator's page does.
        dollars, days = self.draw.randint(1, 20), self.draw.choice([0, 3, 20])
        expires_at = timezone.now() + days * DAY if days else None
        grants.grant(
            self.team, dollars * DOLLAR, kind="promo", source=f"gift:{uuid.uuid4()}", note="Gift",
            expires_at=expires_at,
        )  # fmt: skip
        return dollars, days

    def step_refund_a_payment(self) -> object:
        intents = [i for i in self.world.kind("payment_intent").values() if "_moved" not in i]
        if not intents:
            return PASS
        intent = self.draw.choice(intents)
        if self.draw.random() < 0.5:
            cents = self.draw.choice([intent["amount"], 300])
            intent["_moved"] = self.world.dispute(intent["id"], cents)
            self.disputes.append(intent["_moved"]["id"])
            return "dispute", cents
        cents = self.draw.choice([intent["amount"], intent["amount"] // 2])
        intent["_moved"] = self.world.refund(intent["id"], cents)
        return cents

    def step_void_an_invoice(self) -> object:
        rows = [i for i in self.world.kind("invoice").values() if i["status"] == "open"]
        return self.world.void(self.draw.choice(rows)["id"])["total"] if rows else PASS

    def step_decide_a_dispute(self) -> object:
        if not self.disputes:
            return PASS
        status = self.draw.choice(["won", "lost"])
        self.world.close_dispute(self.disputes.pop(), status)
        return status

    def step_give_back(self) -> object:
        entries = list(LedgerEntry.objects.filter(kind="compute", team=self.team))
        if not entries:
            return PASS
        entry = self.draw.choice(entries)
        micro = self.draw.choice([DOLLAR, entry.amount_micro])
        try:
            return refund_part(entry.about, "Sorry", request_id=uuid.uuid4(), amount_micro=micro)
        except BadRefund:
            return PASS

    def step_adjust(self) -> object:
        if not self.in_force():
            return PASS  # Without a subscription a charge by hand is on our ledger alone.
        dollars = self.draw.choice([-7, -2, 3, 5])
        self.adjust(dollars)
        return dollars

    def step_change_the_rate(self) -> object:
        nano = self.draw.choice([10_000, 20_000, 30_000])
        supersede("cpu", nano)
        return nano, self.draw.random() < 0.5 and keep_catalog()

    def step_change_plan(self) -> object:
        row = self.in_force(heard=True)
        if row is None:
            return PASS
        plans = Plan.objects.filter(is_offered=True).exclude(pk=row.plan_id).order_by("pk")
        plan = self.draw.choice(list(plans))
        change_plan(self.team, self.owner, plan, uuid.uuid4())
        return plan.pk

    def step_end_a_period(self) -> object:
        row, how = self.in_force(heard=True), self.draw.choice(["paid", "late", "failed", "unpaid"])
        if row is None:
            return PASS
        if how == "late":  # Nobody reports before the invoice is final.
            invoice = self.world.close_period(row.stripe_id)
            self.pass_time(hours=2)
            self.world.finalize(invoice["id"])
            self.world.collect(invoice["id"])
            return how
        self.close(is_paid=how == "paid")
        if how == "unpaid":
            self.world.give_up(row.stripe_id)
        return how

    def step_end_the_subscription(self) -> object:
        row, how = self.in_force(heard=True), self.draw.choice(["at once", "customer", "period"])
        if row is None or self.draw.random() < 0.5:
            return PASS
        if how == "at once":
            self.world.end_subscription(row.stripe_id)
        elif how == "customer":
            delete_customer(self.world, Call("DELETE", "", {}), row.customer_id)
        else:
            cancel_at_period_end(self.team, self.owner, uuid.uuid4())
            invoice = self.world.close_period(row.stripe_id)
            self.world.end_subscription(row.stripe_id)
            self.deliver()
            self.report()
            self.pass_time(hours=1)
            self.world.finalize(invoice["id"])
        return how

    def step_subscribe(self) -> object:
        if self.in_force(heard=True):
            return PASS
        code = self.draw.choice(["free", "team", "scale"])
        self.subscribe(code)
        return code

    def step_hear_in_any_order(self) -> object:
        waiting = self.world.events[self.delivered :]
        self.draw.shuffle(waiting)
        self.world.events[self.delivered :] = waiting
        return len(self.deliver(times=2))


@pytest.mark.parametrize(
    "seed", [2, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in (0, 1, 3, 4, 5))]
)
def test_random_stories_agree_to_the_cent(stripe_server, team, alice, monkeypatch, seed):
    tale = RandomTale(stripe_server, team, alice)
    tale.start(monkeypatch, seed)
    tale.go_on(20)
