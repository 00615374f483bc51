"""The audit log: one append-only row per act that touches security, money or state."""

from typing import Any

from accounts.models import ApiToken, AuditEntry, Team, User
from web.middleware import client_address


def record(
    team: Team | None, actor: User | ApiToken | None, action: str, target: str = "", **detail: Any
) -> AuditEntry:
    """Add a row that says who did what. `action` is "noun.verb", `detail` plain JSON."""
    actor_name = "system"
    if isinstance(actor, ApiToken):
        actor_name = f"token {actor.prefix}"
    elif isinstance(actor, User):
        actor_name = actor.email
    return AuditEntry.objects.create(
        team=team,
        actor=actor_name[:255],
        action=action,
        target=target[:255],
        detail=detail,
        address=client_address.get(),
    )
