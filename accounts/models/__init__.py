"""Teams and people, what they are notified of, and the webhooks of a team; a file per subject."""

from accounts.models.api_token import ApiToken, TokenScope, scopes_within
from accounts.models.audit import AuditEntry
from accounts.models.notification import (
    EmailPreference,
    EventGroup,
    Notice,
    NoticeEmail,
    NoticePreference,
    NoticeRead,
    is_shown_to,
)
from accounts.models.team import (
    PERMISSIONS,
    EmailFrequency,
    Invitation,
    Membership,
    Role,
    Team,
    TeamOwnedQuerySet,
    Viewer,
    roles_with,
)
from accounts.models.user import User, UserManager
from accounts.models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = [
    "PERMISSIONS",
    "ApiToken",
    "AuditEntry",
    "EmailFrequency",
    "EmailPreference",
    "EventGroup",
    "Invitation",
    "Membership",
    "Notice",
    "NoticeEmail",
    "NoticePreference",
    "NoticeRead",
    "Role",
    "Team",
    "TeamOwnedQuerySet",
    "TokenScope",
    "User",
    "UserManager",
    "Viewer",
    "WebhookDelivery",
    "WebhookEndpoint",
    "is_shown_to",
    "roles_with",
    "scopes_within",
]
