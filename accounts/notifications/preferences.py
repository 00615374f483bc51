"""Which e-mails each member wants: their choice, else a default that depends on their role."""

from django.core import signing
from django.db import transaction

from accounts.models import (
    PERMISSIONS,
    EmailFrequency,
    EmailPreference,
    EventGroup,
    Membership,
    Notice,
    NoticePreference,
    is_shown_to,
)

UNSUBSCRIBE_SALT = "accounts.notice-emails"
# Who gets all e-mails of a group unless they choose otherwise: whoever may act on them.
ALL_BY_DEFAULT_PERMISSIONS = {
    EventGroup.FAILURES: {"write"},
    EventGroup.BUDGET: {"write", "billing"},
    EventGroup.PAYMENT: {"billing"},
    EventGroup.SECURITY: {"team"},
    EventGroup.INBOX: {"inbox"},  # A visitor waits, and nobody may have the inbox open.
}


def default_preference(role: str, group: str) -> EmailPreference:
    """What a member gets who has chosen nothing."""
    if ALL_BY_DEFAULT_PERMISSIONS.get(EventGroup(group), set()) & PERMISSIONS.get(role, set()):
        return EmailPreference.ALL
    return EmailPreference.MINE if group == EventGroup.RESULTS else EmailPreference.NEVER


def preferences_of(member: Membership) -> dict[str, str]:
    """The member's preference for every group."""
    stored = {row.group: row.wish for row in member.notice_preferences.all()}
    return {
        group: stored.get(group, default_preference(member.role, group))
        for group in EventGroup.values
        if is_shown_to(member.role, group)
    }


@transaction.atomic
def set_preferences(member: Membership, preferences: dict[str, str]) -> None:
    """Store the member's preferences: an EmailPreference for each group given."""
    for group, preference in preferences.items():
        NoticePreference.objects.update_or_create(
            membership=member, group=group, defaults={"wish": preference}
        )


def set_frequency(member: Membership, frequency: str) -> None:
    """Store when the member wants e-mails (an EmailFrequency). Waiting e-mails are not moved."""
    Membership.objects.filter(pk=member.pk).update(email_pace=frequency)


def unsubscribe(member: Membership, group: EventGroup | None) -> None:
    """Stop the e-mails of this group; of all groups when it is None."""
    if group is None:
        set_frequency(member, EmailFrequency.NEVER)
    else:
        set_preferences(member, {group: EmailPreference.NEVER})


def email_recipients(notice: Notice) -> list[Membership]:
    """The members with a confirmed address who want an e-mail about this notice."""
    members = Membership.objects.reachable().filter(team=notice.team_id)
    members = members.select_related("user").prefetch_related("notice_preferences")
    return [member for member in members if _wants_email(member, notice)]


def _wants_email(member: Membership, notice: Notice) -> bool:
    if member.email_pace == EmailFrequency.NEVER or not is_shown_to(member.role, notice.group):
        return False
    preference = preferences_of(member)[notice.group]
    return preference == EmailPreference.ALL or (
        preference == EmailPreference.MINE and notice.about_id == member.user_id
    )


def create_unsubscribe_token(member: Membership, group: str = "") -> str:
    """The token of an unsubscribe link, which stops one group, or all, without signing in."""
    return signing.dumps([member.pk, group], salt=UNSUBSCRIBE_SALT)


def read_unsubscribe_token(token: str) -> tuple[Membership, EventGroup | None] | None:
    """The member behind a link and the group (None for all groups).

    None when the link is forged or the member has left the team.
    """
    try:
        member_id, group = signing.loads(token, salt=UNSUBSCRIBE_SALT)
    except signing.BadSignature:
        return None
    member = Membership.objects.select_related("team", "user").filter(pk=member_id).first()
    return (member, EventGroup(group) if group else None) if member else None
