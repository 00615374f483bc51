"""The audit log: one append-only row per act that touches security, money or state."""

from typing import Any

from accounts.models import ApiToken, AuditEntry, Team, User
from web.middleware import client_address


def record(
    team: Team | None, actor: User | ApiToken | None, action: str, target: str = "", **detail: Any
) -> AuditEntry:
    """Write down that somebody did something. `action` is "noun.deed", `detail` plain JSON."""
    return AuditEntry.objects.create(
        team=team,
        actor=_name_of(actor)[:255],
        action=action,
        target=target[:255],
        detail=detail,
        address=client_address.get(),
    )


def _name_of(actor: User | ApiToken | None) -> str:
    if isinstance(actor, ApiToken):
        return f"token {actor.prefix}"
    return actor.email if isinstance(actor, User) else "system"
