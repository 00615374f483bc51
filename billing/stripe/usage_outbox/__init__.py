"""Reports usage to Stripe so that each unit is counted there exactly once.

`build` writes new usage into outbox rows; `flush` delivers rows. Both may be called at any time and
by several processes at once: the state of the rows decides what is done.
"""

from uuid import UUID

from billing.stripe.usage_outbox.builder import build
from billing.stripe.usage_outbox.claims import mark_lost
from billing.stripe.usage_outbox.sender import flush

__all__ = ["build", "flush", "mark_lost", "report_usage"]


def report_usage(team_id: UUID | None = None) -> int:
    """Build, then flush; returns how many rows were delivered."""
    build(team_id)
    return flush(team_id)
