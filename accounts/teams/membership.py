"""Joining, leaving and changing roles. A team always keeps an owner."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from accounts import audit
from accounts.errors import (
    AlreadyMember,
    EmailNotConfirmed,
    InvitationEmailMismatch,
    InvitationGone,
    LastOwner,
)
from accounts.models import ApiToken, Invitation, Membership, Role, Team, User
from accounts.notifications.publish import publish
from accounts.permissions import require_permission, role_of
from web.errors import NotAllowed, UserError
from web.rate_limits.actions import require_rate

INVITATION_LIFETIME = timedelta(days=7)
INVITATION_SESSION_KEY = "invitation"  # Session key: the secret of a link that a guest opened.


@transaction.atomic
def invite(team: Team, inviter: User, *, email: str, role: str) -> tuple[Invitation, str]:
    """An invitation and the secret of its link; an earlier one of this address ends.

    Only owners invite owners.
    """
    require_permission(inviter, team, "team")
    _require_owner_for_owner_role(team, inviter, role)
    require_rate("invitations", team.pk)
    if Membership.objects.filter(team=team, user__email__iexact=email).exists():
        raise AlreadyMember
    Team.objects.select_for_update().get(pk=team.pk)  # Of two invitations at once, one stays.
    Invitation.objects.open().filter(team=team, email__iexact=email).update(expires_at=now())
    secret = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        team=team,
        email=email.lower(),
        role=role,
        digest=ApiToken.digest_of(secret),
        invited_by=inviter,
        expires_at=now() + INVITATION_LIFETIME,
    )
    audit.record(team, inviter, "member.invited", invitation.email, role=role)
    return invitation, secret


def find_open_invitation(secret: str) -> Invitation:
    """The open invitation behind a link. Raises InvitationGone."""
    invitations = Invitation.objects.open().select_related("team", "invited_by")
    invitation = invitations.filter(digest=ApiToken.digest_of(secret)).first()
    if invitation is None:
        raise InvitationGone
    return invitation


@transaction.atomic
def accept(secret: str, user: User) -> Team:
    """Join the team, once.

    Raises InvitationGone, InvitationEmailMismatch, or EmailNotConfirmed where that is required.
    """
    invitation = find_open_invitation(secret)
    if invitation.email.lower() != user.email.lower():
        raise InvitationEmailMismatch
    if settings.REQUIRE_VERIFIED_EMAIL and not user.has_confirmed_email:
        raise EmailNotConfirmed
    # The guarded update decides between two clicks on the same link.
    if not Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=now()):
        raise InvitationGone
    membership, is_new = Membership.objects.get_or_create(
        team=invitation.team, user=user, defaults={"role": invitation.role}
    )
    if is_new:
        audit.record(invitation.team, user, "member.joined", user.email, role=membership.role)
        publish(
            invitation.team,
            "member.joined",
            f"{user} joined {invitation.team} as {membership.get_role_display().lower()}.",
            url=reverse("accounts:members", args=[invitation.team.slug]),
            data={"email": user.email, "role": membership.role},
            about=user,
        )
    return invitation.team


@transaction.atomic
def withdraw(invitation: Invitation, actor: User) -> None:
    """Make an open invitation's link useless."""
    require_permission(actor, invitation.team, "team")
    if Invitation.objects.open().filter(pk=invitation.pk).update(expires_at=now()):
        audit.record(invitation.team, actor, "invitation.withdrawn", invitation.email)


@transaction.atomic
def change_role(membership: Membership, actor: User, role: str) -> None:
    """Give a member another role. Only owners make or unmake owners; the last one stays."""
    team = _lock_team(membership)
    require_permission(actor, team, "team")
    _require_owner_for_owner_role(team, actor, membership.role, role)
    if role != Role.OWNER:
        _ensure_owner_remains(team, membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record(team, actor, "member.role_changed", membership.user.email, old=before, new=role)


@transaction.atomic
def hand_over(heir: Membership, actor: User) -> None:
    """Make another member an owner in the place of the actor, who stays as an admin."""
    own = Membership.objects.filter(team=heir.team_id, user=actor, role=Role.OWNER).first()
    if own is None:
        raise NotAllowed("Only an owner hands a team over.")
    if heir.pk == own.pk:
        raise UserError("You own this team already. Choose somebody else.", param="member")
    change_role(heir, actor, Role.OWNER)
    change_role(own, actor, Role.ADMIN)


@transaction.atomic
def remove(membership: Membership, actor: User) -> None:
    """End a membership (one's own, or with the permission "team") and its tokens for the team."""
    team = _lock_team(membership)
    if membership.user_id != actor.pk:
        require_permission(actor, team, "team")
        _require_owner_for_owner_role(team, actor, membership.role)
    _ensure_owner_remains(team, membership)
    tokens = ApiToken.objects.filter(team=team, created_by=membership.user, revoked_at=None)
    revoked = tokens.count()
    membership.delete()  # `accounts.teams.access` ends what the membership carried.
    audit.record(team, actor, "member.removed", membership.user.email, tokens_revoked=revoked)


def _lock_team(membership: Membership) -> Team:
    """Lock the team, so that two owners who leave at once do not leave none; reload the role."""
    team = Team.objects.select_for_update().get(pk=membership.team_id)
    membership.refresh_from_db(fields=["role"])
    return team


def _require_owner_for_owner_role(team: Team, actor: User, *roles: str) -> None:
    if Role.OWNER in roles and role_of(actor, team) != Role.OWNER:
        raise NotAllowed("Only an owner of the team may do this to an owner.")


def _ensure_owner_remains(team: Team, leaving: Membership) -> None:
    others = Membership.objects.filter(team=team, role=Role.OWNER).exclude(pk=leaving.pk)
    if leaving.role == Role.OWNER and not others.exists():
        raise LastOwner
