"""Deleting an account: the person goes, what they made stays with their teams."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils.timezone import now

from accounts import audit
from accounts.models import ApiToken, Membership, Role, User
from accounts.teams import suspension
from web.errors import UserError


class CannotDelete(UserError):
    code, status = "cannot_delete_account", 409
    sentence = "This account cannot be deleted now."


def deletion_obstacles(user: User) -> list[str]:
    """Teams that would be left with members but without an owner."""
    owned = Membership.objects.filter(user=user, role=Role.OWNER).select_related("team")
    return [
        f"You are the only owner of {one.team}. Make somebody else an owner first."
        for one in owned
        if _would_lose_its_owner(one)
    ]


def _would_lose_its_owner(owner: Membership) -> bool:
    others = Membership.objects.filter(team=owner.team_id).exclude(pk=owner.pk)
    return others.exists() and not others.filter(role=Role.OWNER).exists()


@transaction.atomic
def delete_account(user: User) -> None:
    """End sessions, tokens and memberships, and remove name and address. Raises CannotDelete.

    The row stays without the person's data, because what they made names it. A team that nobody
    else belongs to is suspended, so that nothing of it runs any more, and billing ends its
    subscription.
    """
    if obstacles := deletion_obstacles(user):
        raise CannotDelete(" ".join(obstacles))
    ApiToken.objects.filter(created_by=user, revoked_at=None).update(revoked_at=now())
    for member in Membership.objects.filter(user=user).select_related("team"):
        team = member.team
        audit.record(team, user, "member.left", user.email, reason="account deleted")
        member.delete()
        if not Membership.objects.filter(team=team).exists() and team.frozen_at is None:
            suspension.suspend(team, None)
    for session in UserSession.objects.filter(user=user):
        session.end()
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    user.email = f"deleted-{user.pk}@deleted.invalid"
    user.first_name, user.last_name, user.is_active = "", "", False
    user.set_unusable_password()
    user.save()
