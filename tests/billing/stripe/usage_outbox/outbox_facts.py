"""Metered facts made by hand, at chosen moments, and the sums they must come to."""

import uuid
from datetime import datetime, timedelta

from django.db.backends.postgresql.psycopg_any import NumericRange
from django.utils.timezone import now

from accounts.models import Team
from billing.budgets import budget
from billing.models import (
    LedgerEntry,
    MeteredRun,
    Rate,
    RunEndReason,
    StripeOutbox,
    Subscription,
    UsageEvent,
    UsageSegment,
)
from billing.money import amount_micro
from billing.stripe.usage_outbox.rows import MeteredSubscription

METERS = {
    "cpu": "lathe_cpu",
    "gpu": "lathe_gpu",
    "inference-tokens": "lathe_tokens",
    "adjustments": "lathe_adjustments",
}


def service(
    customer: str = "cus_1", event_names: dict[str, str] = METERS, **facts: object
) -> MeteredSubscription:
    """A subscription that began ten days ago; its period began then, too."""
    start = now() - timedelta(days=10)
    row = Subscription(
        **{
            "stripe_id": "sub_1", "customer_id": customer, "created_at": start,
            "period_start": start, "period_end": start + timedelta(days=30),
            "metered_items": {"": "si_1"},  # Rates have no price at Stripe here.
        } | facts
    )  # fmt: skip
    return MeteredSubscription(row, event_names)


def run_of(team: Team, sku: str = "cpu", devices: int = 1) -> MeteredRun:
    """An ended run that was billed nothing yet."""
    budget.get_budget(team)
    start = now() - timedelta(days=40)
    return MeteredRun.objects.create(
        team=team, source=f"training-job:{uuid.uuid4()}", fence=1, devices=devices,
        rate=Rate.objects.current(sku), started_at=start,
        lease_until=start + timedelta(minutes=1), ended_at=now(), end_reason=RunEndReason.FINISHED,
    )  # fmt: skip


def use(run: MeteredRun, ms: int, at: datetime | None = None) -> UsageSegment:
    """Bill more milliseconds of a run, as a heartbeat does, at a chosen moment."""
    at = at or now()
    nano = run.rate.nano_per_unit
    upto = run.billed_ms + ms
    amount = amount_micro(upto * run.devices, nano)
    amount -= amount_micro(run.billed_ms * run.devices, nano)
    segment = UsageSegment.objects.create(
        run=run, team=run.team, source=run.source, span=NumericRange(run.billed_ms, upto),
        device_ms=ms * run.devices, amount_micro=amount, recorded_at=at,
    )  # fmt: skip
    if amount:
        LedgerEntry.objects.create(
            team=run.team, kind="compute", amount_micro=amount, source=f"segment:{segment.pk}",
            about=run.source, run=run, sku=run.rate.sku, occurred_at=at,
        )  # fmt: skip
    run.billed_ms = upto
    run.save(update_fields=["billed_ms"])
    return segment


def ask(team: Team, tokens: int, at: datetime | None = None) -> UsageEvent:
    """Tokens answered."""
    budget.get_budget(team)
    return UsageEvent.objects.create(
        team=team, kind="inference-tokens", source="deployment:1", event_key=str(uuid.uuid4()),
        units=tokens, requests=1, amount_micro=tokens // 50, occurred_at=at or now(),
    )  # fmt: skip


def rows(team: Team, meter: str = "cpu", **facts: object) -> list[StripeOutbox]:
    found = StripeOutbox.objects.filter(team=team, meter=meter, **facts)
    return list(found.order_by("sequence"))


def values(team: Team, meter: str = "cpu", **facts: object) -> list[int]:
    return [row.value for row in rows(team, meter, **facts)]
