"""Which e-mails each member wants: their choice, else a default that fits their role."""

from django.core import signing
from django.db import transaction

from accounts.models import (
    PERMISSIONS,
    EmailPace,
    EmailWish,
    Group,
    Membership,
    Notice,
    NoticePreference,
)

SALT = "accounts.notice-emails"
# Who gets all e-mails of a group unless they choose otherwise: whoever may act on them.
ALL_FOR = {
    Group.FAILURES: {"write"},
    Group.BUDGET: {"write", "billing"},
    Group.PAYMENT: {"billing"},
    Group.SECURITY: {"team"},
}


def default_wish(role: str, group: str) -> EmailWish:
    """What a member gets who has chosen nothing."""
    if ALL_FOR.get(Group(group), set()) & PERMISSIONS.get(role, set()):
        return EmailWish.ALL
    return EmailWish.MINE if group == Group.RESULTS else EmailWish.NEVER


def wishes_of(member: Membership) -> dict[str, str]:
    """A wish for every group."""
    chosen = {row.group: row.wish for row in member.notice_preferences.all()}
    return {group: chosen.get(group, default_wish(member.role, group)) for group in Group.values}


@transaction.atomic
def choose(member: Membership, wishes: dict[str, str]) -> None:
    """Remember a member's wishes, each a group and an EmailWish."""
    for group, wish in wishes.items():
        NoticePreference.objects.update_or_create(
            membership=member, group=group, defaults={"wish": wish}
        )


def set_pace(member: Membership, pace: str) -> None:
    """Remember when the member wants e-mails, as an EmailPace; those that wait go as planned."""
    Membership.objects.filter(pk=member.pk).update(email_pace=pace)


def stop(member: Membership, group: Group | None) -> None:
    """No more e-mails of this group, or of any."""
    if group is None:
        set_pace(member, EmailPace.NEVER)
    else:
        choose(member, {group: EmailWish.NEVER})


def readers_by_email(notice: Notice) -> list[Membership]:
    """Whom to write about this notice."""
    members = Membership.objects.filter(team=notice.team_id, user__is_active=True)
    members = members.select_related("user").prefetch_related("notice_preferences")
    return [member for member in members if _wants(member, notice)]


def _wants(member: Membership, notice: Notice) -> bool:
    if member.email_pace == EmailPace.NEVER:
        return False
    wish = wishes_of(member)[notice.group]
    return wish == EmailWish.ALL or (wish == EmailWish.MINE and notice.about_id == member.user_id)


def unsubscribe_token(member: Membership, group: str = "") -> str:
    """What an e-mail's unsubscribe link carries: enough to stop one group, or all of them, without
    signing in."""
    return signing.dumps([member.pk, group], salt=SALT)


def read_unsubscribe_token(token: str) -> tuple[Membership, Group | None] | None:
    """The member behind a link and the group, None for all; None when the link is not ours or
    they have left."""
    try:
        member_id, group = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    member = Membership.objects.select_related("team", "user").filter(pk=member_id).first()
    return (member, Group(group) if group else None) if member else None
