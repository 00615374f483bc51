"""What Lathe stores about a person, as one JSON document."""

from typing import TypedDict

from django.utils.timezone import now

from accounts.models import ApiToken, AuditEntry, User
from accounts.people.sessions import list_sessions

MAX_AUDIT_ENTRIES = 10_000


class Export(TypedDict):
    exported_at: str
    account: dict[str, str | None]
    teams: list[dict[str, str]]
    api_tokens: list[dict[str, str | None]]
    sessions: list[dict[str, str]]
    audit_log: list[dict[str, object]]


def export_of(user: User) -> Export:
    """Everything about the person; the teams' data, models and bills are the teams' own."""
    memberships = user.memberships.select_related("team").order_by("joined_at")
    tokens = ApiToken.objects.filter(created_by=user).select_related("team")
    entries = AuditEntry.objects.filter(actor=user.email).select_related("team").order_by("-at")
    return {
        "exported_at": now().isoformat(),
        "account": {
            "email": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "joined": user.date_joined.isoformat(),
            "last_login": user.last_login.isoformat() if user.last_login else None,
        },
        "teams": [
            {"team": one.team.name, "role": one.role, "joined": one.joined_at.isoformat()}
            for one in memberships
        ],
        "api_tokens": [
            {
                "name": token.name,
                "prefix": token.prefix,
                "team": token.team.name,
                "last_used": token.last_used_at.isoformat() if token.last_used_at else None,
            }
            for token in tokens
        ],
        "sessions": [
            {"browser": one.browser, "address": one.address, "since": one.created_at.isoformat()}
            for one in list_sessions(user, None)
        ],
        "audit_log": [
            {
                "at": entry.at.isoformat(),
                "team": entry.team.name if entry.team else None,
                "action": entry.action,
                "target": entry.target,
                "address": entry.address,
            }
            for entry in entries[:MAX_AUDIT_ENTRIES]
        ],
    }
