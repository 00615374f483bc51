"""Counted usage, such as tokens answered: every record counts once, however often it is sent."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing.budgets import alerts
from billing.budgets.budget import lock_budget
from billing.ledger.posting import post_entry
from billing.models import Budget, LedgerEntry, Rate, UsageCounter, UsageEvent
from billing.money import units_micro


@dataclass(frozen=True, kw_only=True)
class UsageRecord:
    """Units used by one source since the last report. (team, source, event_key) identifies them."""

    team_id: UUID
    source: str
    event_key: str
    units: int
    requests: int
    kind: str = "inference-tokens"
    token_prefix: str = ""
    occurred_at: datetime = field(default_factory=now)


def record_usage(records: Iterable[UsageRecord]) -> int:
    """Post the records whose keys are new, one transaction per team; returns how many."""
    by_team = sorted(records, key=lambda record: record.team_id)
    return sum(
        _record_for_team(team_id, list(of_team))
        for team_id, of_team in groupby(by_team, key=lambda record: record.team_id)
    )


@transaction.atomic
def _record_for_team(team_id: UUID, records: list[UsageRecord]) -> int:
    budget = lock_budget(team_id)
    posted = set(
        UsageEvent.objects.filter(
            team_id=team_id, event_key__in=[record.event_key for record in records]
        ).values_list("source", "event_key")
    )
    new = [record for record in records if (record.source, record.event_key) not in posted]
    for record in new:
        _post_usage_event(budget, record)
    budget.save(update_fields=["spent_micro"])
    alerts.notify_thresholds(budget)
    return len(new)


def _post_usage_event(budget: Budget, record: UsageRecord) -> None:
    amount = _incremental_price_micro(record)
    # Not in the future of a month that has not begun, nor in one that is over and cannot change.
    at = max(min(record.occurred_at, now()), budget.period_start)
    columns = asdict(record) | {"amount_micro": amount, "occurred_at": at}
    event = UsageEvent.objects.create(**columns)
    if amount:
        charge = LedgerEntry(
            kind=LedgerEntry.Kind.INFERENCE,
            amount_micro=amount,
            source=f"event:{event.pk}",
            about=record.source,
            sku=record.kind,
            token_prefix=record.token_prefix,
        )
        post_entry(budget, charge, at=at)


def _incremental_price_micro(record: UsageRecord) -> int:
    """The part of the running total's price that these units add. The team's budget is locked."""
    rate = Rate.objects.current(record.kind).nano_per_unit
    counter, _ = UsageCounter.objects.get_or_create(
        team_id=record.team_id, kind=record.kind, source=record.source
    )
    before = counter.units
    counter.units += record.units
    counter.save(update_fields=["units"])
    return units_micro(counter.units, rate) - units_micro(before, rate)
