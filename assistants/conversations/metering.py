"""What an assistant used of things that are counted one by one, for billing."""

from collections import defaultdict
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import transaction

from assistants.asking_token import asking_prefix
from assistants.models import Assistant, Decision
from billing.metering.usage_events import UsageRecord, record_usage
from billing.pricing import ANSWERS_SKU

# The assistant's own answers. What it refuses or hands to a person costs nothing.
PAID_ROUTES = {
    *Decision.ANSWERED,
    Decision.Route.ASK,
    Decision.Route.RULE,
}
BATCH = 1_000


def count_answers() -> int:
    """Put on the bill what was answered since the last time; returns how many answers. Each counts
    once: being counted is kept with the decision, in the transaction that posts it."""
    total = 0
    while counted := _count_batch():
        total += counted
    return total


@transaction.atomic
def _count_batch() -> int:
    """As one event for each assistant, day and API token: no answer waits for a team's budget."""
    uncounted = Decision.objects.filter(is_counted=False, route__in=Decision.ANSWERED)
    rows = uncounted.select_related("message__channel__assistant").order_by("at")
    batch = list(rows.select_for_update(skip_locked=True, of=("self",), no_key=True)[:BATCH])
    groups: dict[tuple[UUID, date, str], list[Decision]] = defaultdict(list)
    for decision in batch:
        day = decision.at.astimezone(UTC).date()
        channel = decision.message.channel
        groups[channel.assistant_id, day, decision.token_prefix].append(decision)
    Decision.objects.filter(pk__in=[decision.pk for decision in batch]).update(is_counted=True)
    record_usage(_record_of(decisions) for decisions in groups.values())
    return len(batch)


def _record_of(decisions: list[Decision]) -> UsageRecord:
    assistant, moments = decisions[0].message.channel.assistant, [one.at for one in decisions]
    latest: datetime = max(moments)
    return UsageRecord(
        team_id=assistant.team_id,
        source=assistant.source,
        event_key=f"answers:{decisions[0].pk}",
        units=len(decisions),
        requests=len(decisions),
        kind=ANSWERS_SKU,
        token_prefix=decisions[0].token_prefix,
        occurred_at=latest,
    )


def record_use(assistant: Assistant, kind: str, key: str, units: int) -> None:
    """Once for each key, in the transaction that keeps what was used."""
    record_usage(
        [
            UsageRecord(
                team_id=assistant.team_id,
                source=assistant.source,
                event_key=key,
                units=units,
                requests=1,
                kind=kind,
                token_prefix=asking_prefix.get(),
            )
        ]
    )
