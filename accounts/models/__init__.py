"""People and teams, what they are told, and where programs are told it; a file per subject."""

from accounts.models.notices import (
    EmailWish,
    Group,
    Notice,
    NoticeEmail,
    NoticePreference,
    NoticeRead,
)
from accounts.models.people import (
    PERMISSIONS,
    ApiToken,
    AuditEntry,
    EmailPace,
    Invitation,
    Membership,
    Role,
    Scope,
    Team,
    User,
    UserManager,
)
from accounts.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "PERMISSIONS",
    "ApiToken",
    "AuditEntry",
    "EmailPace",
    "EmailWish",
    "Group",
    "Invitation",
    "Membership",
    "Notice",
    "NoticeEmail",
    "NoticePreference",
    "NoticeRead",
    "Role",
    "Scope",
    "Team",
    "User",
    "UserManager",
    "WebhookDelivery",
    "WebhookEndpoint",
]
