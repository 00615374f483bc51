"""What an assistant used of things that are counted one by one, for billing."""

from assistants.models import Assistant, Decision
from billing.metering.usage_events import UsageRecord, record_usage

# The assistant's own answers. What it refuses or hands to a person costs nothing.
PAID_ROUTES = {
    Decision.Route.ANSWER,
    Decision.Route.ASK,
    Decision.Route.RULE,
    Decision.Route.QUOTE,
    Decision.Route.WRITTEN,
}


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
            )
        ]
    )
