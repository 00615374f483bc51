"""Counted usage, such as tokens answered: every fact counts once, however often it is sent."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing import budget as budgets
from billing import notices
from billing.booking import Fact, book
from billing.models import Budget, LedgerEntry, Rate, UsageCounter, UsageEvent
from billing.money import units_micro


@dataclass(frozen=True, kw_only=True)
class CountedUse:
    """Units used by one source since the last report. (team, source, event_key) names the fact."""

    team_id: UUID
    source: str
    event_key: str
    units: int
    requests: int
    kind: str = "inference-tokens"
    token_prefix: str = ""
    occurred_at: datetime = field(default_factory=now)


def record_uses(uses: Iterable[CountedUse]) -> int:
    """Book these uses, one transaction per team; returns how many were new.

    Safe to repeat: a use whose key is already booked is passed over.
    """
    by_team = sorted(uses, key=lambda use: use.team_id)
    return sum(
        _record_for_team(team_id, list(of_team))
        for team_id, of_team in groupby(by_team, key=lambda use: use.team_id)
    )


@transaction.atomic
def _record_for_team(team_id: UUID, uses: list[CountedUse]) -> int:
    budget = budgets.lock(team_id)
    booked = set(
        UsageEvent.objects.filter(
            team_id=team_id, event_key__in=[use.event_key for use in uses]
        ).values_list("source", "event_key")
    )
    fresh = [use for use in uses if (use.source, use.event_key) not in booked]
    for use in fresh:
        _book(budget, use)
    budget.save(update_fields=["spent_micro"])
    notices.look(budget)
    return len(fresh)


def _book(budget: Budget, use: CountedUse) -> None:
    amount = _price_of(use)
    at = max(use.occurred_at, budget.period_start)  # A month that is over does not change.
    event = UsageEvent.objects.create(
        team_id=use.team_id,
        kind=use.kind,
        source=use.source,
        event_key=use.event_key,
        token_prefix=use.token_prefix,
        units=use.units,
        requests=use.requests,
        amount_micro=amount,
        occurred_at=at,
    )
    if amount:
        fact = Fact(
            source=f"event:{event.pk}",
            about=use.source,
            sku=use.kind,
            token_prefix=use.token_prefix,
            occurred_at=at,
        )
        book(budget, LedgerEntry.Kind.INFERENCE, amount, fact)


def _price_of(use: CountedUse) -> int:
    """The part of the running total's price that these units add. The team's budget is locked."""
    rate = Rate.objects.current(use.kind).nano_per_unit
    counter, _ = UsageCounter.objects.get_or_create(
        team_id=use.team_id, kind=use.kind, source=use.source
    )
    before = counter.units
    counter.units += use.units
    counter.save(update_fields=["units"])
    return units_micro(counter.units, rate) - units_micro(before, rate)
