"""Turning metered usage into rows for Stripe: whole units, each fact once, fractions carried.

Usage is cut by meter, service period and hour, so that every row is stamped in the period that
pays for it and close to when it happened. Where no subscription covers it, the row is `local`:
our ledger alone bills it, and a subscription begun later never does.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now

from billing import budget as budgets
from billing.models import Reported, StripeOutbox, StripeOutboxEvent, StripeOutboxItem
from billing.outbox.facts import BATCH, Fact, new_facts, teams_with_news
from billing.outbox.lanes import Lane, NoMinuteYet, add_row, lane_for
from billing.outbox.refunds import carry_entries
from billing.outbox.service import Service
from billing.outbox.subscribed import service_of


def build(team_id: UUID | None = None) -> int:
    """Take new usage, refunds and adjustments into the outbox; returns how many facts.

    Of one team, or of all that have news. Safe to repeat and to run at the same time.
    """
    teams = teams_with_news() if team_id is None else [team_id]
    return sum(_build_team(team) for team in teams)


def _build_team(team_id: UUID) -> int:
    taken = 0
    while True:
        try:
            count, is_all = _build_batch(team_id)
        except NoMinuteYet:  # Nothing was taken in; the next build finds a free minute.
            return taken
        taken += count
        if is_all:
            return taken


@transaction.atomic
def _build_batch(team_id: UUID) -> tuple[int, bool]:
    """One transaction's worth: how many facts, and whether that was all."""
    budgets.lock(team_id)
    service, moment = service_of(team_id), now()
    if service and not service.is_decided:  # Usage waits until it is known who bills it.
        return 0, True
    _learn_period(service)
    facts = new_facts(team_id)
    for lane, stretch in _stretches(team_id, facts, service):
        _take_in(lane, stretch, moment)
    if len(facts) >= BATCH:
        return len(facts), False
    return len(facts) + carry_entries(team_id, service, moment), True


def _learn_period(service: Service | None) -> None:
    """Rows stamped in a period before we heard of it learn when it ends."""
    if service:
        rows = StripeOutbox.objects.undelivered().filter(
            subscription=service.subscription, period_end=None, minute__isnull=False
        )
        for row in rows:
            window = service.window(row.happened_at) if row.happened_at else None
            if window and window.end:
                StripeOutbox.objects.filter(pk=row.pk).update(period_end=window.end)


def _stretches(
    team_id: UUID, facts: Iterable[Fact], service: Service | None
) -> Iterator[tuple[Lane, list[Fact]]]:
    """The facts by lane and hour, in order of time within each meter."""
    by_meter = sorted(facts, key=lambda fact: (fact.meter, fact.at))

    def place(fact: Fact) -> tuple[Lane, datetime]:
        hour = fact.at.replace(minute=0, second=0, microsecond=0)
        return lane_for(team_id, fact.meter, service, fact.at), hour

    for (lane, _), stretch in groupby(by_meter, key=place):
        yield lane, list(stretch)


def _take_in(lane: Lane, facts: list[Fact], moment: datetime) -> None:
    """Report the whole units that these facts complete, and carry the rest."""
    lane_total = lane.reported(facts[0].unit)
    value, amount = lane_total.add(
        sum(fact.units for fact in facts), sum(fact.amount_micro for fact in facts)
    )
    row = add_row(lane, value, amount, near=facts[-1].at, now=moment) if value else None
    _mark(lane_total, facts, row)


def _mark(reported: Reported, facts: list[Fact], row: StripeOutbox | None) -> None:
    segments = [fact.pk for fact in facts if fact.is_segment]
    events = [fact.pk for fact in facts if not fact.is_segment]
    StripeOutboxItem.objects.bulk_create(
        [StripeOutboxItem(segment_id=pk, outbox=row) for pk in segments]
    )
    StripeOutboxEvent.objects.bulk_create(
        [StripeOutboxEvent(event_id=pk, outbox=row) for pk in events]
    )
    reported.upto_segment = max([reported.upto_segment, *segments])
    reported.upto_event = max([reported.upto_event, *events])
    reported.save()
