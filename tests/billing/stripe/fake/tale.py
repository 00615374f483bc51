"""One team's money told from both sides: what our statements say and what Stripe charges."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from billing.budgets import budget
from billing.budgets.budget import lock_budget
from billing.credit import application
from billing.ledger import posting
from billing.ledger.corrections import post_adjustment
from billing.models import LedgerEntry, MeteredRun, StripeOutbox, Subscription
from billing.money import round_to_cents
from billing.months import Month, month_of
from billing.statements.statement import build_statement
from billing.stripe.credit import mirror_due
from billing.stripe.usage_outbox import build, builder, claims, flush, sender
from tests.billing.stripe.fake.story import Story
from tests.billing.stripe.fake.world import asked
from tests.billing.stripe.usage_outbox.outbox_facts import run_of, use
from web import row_queue

DOLLAR = 1_000_000
CPU_MICRO_PER_SECOND = 20
DAY = timedelta(days=1)


class Tale(Story):
    """The account's clock begins five weeks ago, so that a whole period can pass."""

    def begin(self, monkeypatch: pytest.MonkeyPatch, *, days_ago: float = 35) -> "Tale":
        self.world.offset = -int(timedelta(days=days_ago).total_seconds())
        for module in (builder, claims, row_queue, sender, posting):
            monkeypatch.setattr(module, "now", self.now)
        monkeypatch.setattr(budget, "this_month", lambda: month_of(self.now()))
        return self

    def now(self) -> datetime:
        return timezone.now() + timedelta(seconds=self.world.offset)

    def pass_time(self, **span: float) -> None:
        self.world.advance(int(timedelta(**span).total_seconds()))

    def use(self, dollars: int, *, of: MeteredRun | None = None) -> LedgerEntry:
        """Metered work that credit covers as far as it reaches: so many dollars at first rates."""
        ms = dollars * DOLLAR // CPU_MICRO_PER_SECOND * 1_000
        self.pass_time(minutes=2)
        with transaction.atomic():
            locked = lock_budget(self.team.pk)
            segment = use(of or run_of(self.team), ms, self.now())
            entry = LedgerEntry.objects.get(source=f"segment:{segment.pk}")
            application.apply_credit(locked, entry)
            locked.spent_micro += entry.amount_micro
            locked.save(update_fields=["spent_micro"])
        self.pass_time(minutes=2)
        return entry

    def adjust(self, dollars: int) -> None:
        post_adjustment(
            self.team, dollars * DOLLAR, "By hand", by=self.owner, request_id=uuid.uuid4()
        )
        mirror_due()

    def report(self) -> None:
        build()
        for _ in range(3):  # What is moved to another period is due once more.
            StripeOutbox.objects.update(next_at=datetime(2020, 1, 1, tzinfo=UTC))
            flush()

    def close(self, *, is_paid: bool = True) -> str:
        """The period ends: a draft, an hour later the invoice, and the card is charged."""
        invoice = self.world.close_period(Subscription.objects.get(team=self.team).stripe_id)
        self.deliver()
        self.report()
        self.pass_time(hours=1)
        self.world.finalize(invoice["id"])
        self.deliver()
        self.world.collect(invoice["id"], succeeds=is_paid)
        self.deliver()
        return str(invoice["id"])

    def close_unreported(self) -> None:
        """The invoice becomes final before anybody takes in what was used last."""
        invoice = self.world.close_period(Subscription.objects.get(team=self.team).stripe_id)
        self.pass_time(hours=2)
        self.world.finalize(invoice["id"])
        self.world.collect(invoice["id"])

    # --- Both sides -----------------------------------------------------------------------------

    def statements_cents(self) -> int:
        """What the statements of all months say is due for usage."""
        month: Month | None = month_of(timezone.now() - timedelta(days=150))
        due = 0
        while month is not None:
            due += build_statement(self.team, month).due_micro
            month = month.next
        return round_to_cents(due)

    def charged_cents(self) -> int:
        """What Stripe's final invoices charge for usage, and the next one would."""
        invoices = self.world.kind("invoice").values()
        closed = [i for i in invoices if i["status"] not in {"draft", "void"}]
        charged = sum(
            asked(line) for i in closed for line in i["_lines"] if self.world.is_metered(line)
        )
        charged -= sum(i["total_pretax_credit_amounts"][0]["amount"] for i in closed)
        usage = self._uninvoiced_cents()
        return charged + usage - min(usage, self.credit_at_stripe())

    def _uninvoiced_cents(self) -> int:
        row = Subscription.objects.filter(team=self.team).first()
        if row is None or not row.is_in_force:
            return 0
        held = self.world.get("subscription", row.stripe_id)
        cents = Decimal(0)
        for item in held["items"]["data"]:
            if item["price"]["recurring"]["usage_type"] != "metered":
                continue
            meter = self.world.get("billing.meter", item["price"]["recurring"]["meter"])
            start, end = item["current_period_start"], item["current_period_end"]
            units = self.world.used(held["customer"], meter, start, end)
            line = units * Decimal(item["price"]["unit_amount_decimal"])
            cents += line.quantize(Decimal(1), ROUND_HALF_UP)
        return int(cents)

    def credit_at_stripe(self) -> int:
        row = Subscription.objects.filter(team=self.team).first()
        return sum(
            grant["_left"]
            for grant in self.world.kind("billing.credit_grant").values()
            if row and grant["customer"] == row.customer_id and not grant["voided_at"]
        )

    def assert_sides_agree(self, dollars: int) -> None:
        """Both say so many dollars of usage are, or were, to be paid by card."""
        self.pass_time(minutes=2)
        self.report()
        mirror_due()
        sides = self.statements_cents(), self.charged_cents()
        assert sides == (dollars * 100, dollars * 100), sides
        assert self.server.refusals == [], self.server.refusals
