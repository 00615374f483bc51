"""Where messages about invoices and meters meet the outbox of usage."""

from accounts.models import Team
from billing import outbox


def deliver(team: Team) -> None:
    """Hand all usage of the team to Stripe now, while its invoice can still take it."""
    outbox.build(team.pk)
    outbox.flush(team.pk)
